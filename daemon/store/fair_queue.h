// FairQueue: what waits for a commit. Writers take turns, so that nobody waits behind all that another one has sent;
// what comes from one writer stays in order.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <utility>

namespace hostcall::daemon::store {

template <class Item>
class FairQueue {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  void push(const std::string& writer, Item item) {
    by_writer_[writer].push_back(std::move(item));
    ++size_;
  }
  // Removes the next one of the writer whose turn it is. Not if it is empty.
  Item pop() {
    auto at = by_writer_.upper_bound(last_);
    if (at == by_writer_.end()) at = by_writer_.begin();
    auto item = std::move(at->second.front());
    at->second.pop_front();
    --size_;
    last_ = at->first;
    if (at->second.empty()) by_writer_.erase(at);
    return item;
  }

 private:
  std::map<std::string, std::deque<Item>> by_writer_;
  std::string last_;  // whose turn was the last one
  std::size_t size_ = 0;
};

}  // namespace hostcall::daemon::store
