#include "daemon/store/history.h"

#include "daemon/store/key.h"

namespace hostcall::daemon::store {
namespace {

std::size_t bytes_of(const Event& event) {
  return event.now->bytes() + (event.previous == nullptr ? 0 : event.previous->bytes());
}

}  // namespace

void History::append(const Event& event) {
  const auto key = event.now->key();
  if (const auto before = latest_.find(key); before != latest_.end()) {
    entries_[before->second - first_].superseded = event.revision();
    latest_.erase(before);  // the key's view points into that event
  }
  latest_.emplace(key, end());
  lanes_[std::string(namespace_of(key))].push_back(end());
  bytes_ += bytes_of(event);
  entries_.push_back({event});
}

History::Position History::find(Revision revision) const {
  const auto at = std::ranges::lower_bound(entries_, revision, {}, [](const Entry& e) { return e.event.revision(); });
  return first_ + static_cast<Position>(at - entries_.begin());
}

void History::trim() {
  while (entries_.size() > limits_.events || (bytes_ > limits_.bytes && !entries_.empty())) {
    compact_revision_ = entries_.front().event.revision();
    while (!entries_.empty() && entries_.front().event.revision() == compact_revision_) drop_first();
  }
}

void History::drop_first() {
  const auto& event = entries_.front().event;
  const auto lane = lanes_.find(namespace_of(event.now->key()));
  lane->second.pop_front();
  if (lane->second.empty()) lanes_.erase(lane);
  if (const auto latest = latest_.find(event.now->key()); latest->second == first_) latest_.erase(latest);
  bytes_ -= bytes_of(event);
  entries_.pop_front();
  ++first_;
}

}  // namespace hostcall::daemon::store
