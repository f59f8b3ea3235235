// Inbox: received messages of a stream until its owner takes them. Memory goes round: a taken message's buffer
// holds a later one. Empty, it owns nothing but that.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "proto/base/buffer.h"
#include "proto/wire/window.h"

namespace hostcall::client {

class Inbox {
 public:
  bool empty() const { return head_ == messages_.size(); }
  // What the messages cost in credit, and about what they cost in memory.
  std::size_t cost() const { return cost_; }

  void push(std::string_view message) {
    Buffer buffer = std::exchange(spare_, {});
    buffer.clear();
    buffer.append(message);
    messages_.push_back(std::move(buffer));
    cost_ += cost_of(message.size());
  }
  // The oldest message, valid until the next take(). Needs a message.
  std::string_view take() {
    if (taken_.capacity() > spare_.capacity() && taken_.capacity() <= kMaxSpare) spare_ = std::move(taken_);
    Buffer next = std::move(messages_[head_++]);
    taken_ = std::move(next);
    if (empty()) {
      messages_.clear();
      head_ = 0;
    } else if (head_ > messages_.size() / 2) {
      messages_.erase(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    cost_ -= cost_of(taken_.size());
    return taken_.view();
  }
  static std::size_t cost_of(std::size_t size) { return static_cast<std::size_t>(wire::data_cost(size)); }

 private:
  static constexpr std::size_t kMaxSpare = 256 * 1024;

  std::vector<Buffer> messages_;
  std::size_t head_ = 0;  // messages before it were taken
  std::size_t cost_ = 0;
  Buffer taken_;  // the user looks at this one
  Buffer spare_;
};

}  // namespace hostcall::client
