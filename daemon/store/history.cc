#include "daemon/store/history.h"

#include "daemon/store/key.h"

namespace hostcall::daemon::store {

std::size_t History::bytes_of(std::string_view space) const {
  const auto lane = lanes_.find(space);
  return lane == lanes_.end() ? 0 : lane->second.bytes;
}

Revision History::compact_revision(std::string_view space) const {
  if (space.empty()) return highest_;
  const auto lane = lanes_.find(space);
  return lane == lanes_.end() ? floor_ : lane->second.compacted;
}

void History::save_compaction(const std::string& space, const Lane& lane) {
  unsaved_.compactions[space] = Compaction{lane.compacted, lane.has_share};
}

History::Lanes::iterator History::lane_of(std::string_view space) {
  auto lane = lanes_.find(space);
  if (lane == lanes_.end()) {
    lane = lanes_.emplace(std::string(space), Lane{.compacted = floor_}).first;
    save_compaction(lane->first, lane->second);
  }
  return lane;
}

void History::restore_compaction(std::string_view space, const Compaction& compaction) {
  lanes_.emplace(std::string(space), Lane{.has_share = compaction.has_share, .compacted = compaction.revision});
  highest_ = std::max(highest_, compaction.revision);
}

void History::append(const Event& event) {
  restore(event, std::max(end_, position_of(event.revision())));
  set_share(lane_of(namespace_of(event.now->key())), true);
}

void History::restore(const Event& event, Position position) {
  const auto key = event.now->key();
  const auto at = entries_.emplace_hint(entries_.end(), position, Entry{event});
  end_ = position + 1;
  if (const auto before = latest_.find(key); before != latest_.end()) {
    before->second->second.superseded = event.revision();
    latest_.erase(before);  // the key's view points into that event
  }
  latest_.emplace(key, at);
  const auto lane = lane_of(namespace_of(key));
  lane->second.entries.push_back(at);
  set_use(lane->second, lane->second.bytes + cost(event), lane->second.has_share);
}

std::size_t History::excess(const Lane& lane) const {
  return lane.bytes - (lane.has_share ? std::min(lane.bytes, limits_.share) : 0);
}

void History::set_use(Lane& lane, std::size_t bytes, bool has_share) {
  const auto before = excess(lane);
  bytes_ += bytes - lane.bytes;
  lane.bytes = bytes;
  lane.has_share = has_share;
  const auto now = excess(lane);
  if (now == before) return;
  if (before != 0) above_share_.erase({before, &lane});
  if (now != 0) above_share_.insert({now, &lane});
}

void History::set_share(Lanes::iterator lane, bool has_share) {
  if (lane->second.has_share == has_share) return;
  set_use(lane->second, lane->second.bytes, has_share);
  save_compaction(lane->first, lane->second);
}

void History::forget(std::string_view space) {
  const auto lane = lanes_.find(space);
  if (lane == lanes_.end()) return;
  set_share(lane, false);
  remove_if_forgotten(lane);
}

void History::trim() {
  while (bytes_ > limits_.bytes && !above_share_.empty()) drop_revision(*std::prev(above_share_.end())->second);
}

void History::drop_revision(Lane& lane) {
  const auto space = std::string(namespace_of(lane.entries.front()->second.event.now->key()));
  lane.compacted = lane.entries.front()->second.event.revision();
  highest_ = std::max(highest_, lane.compacted);
  save_compaction(space, lane);
  while (!lane.entries.empty() && lane.entries.front()->second.event.revision() == lane.compacted) drop_first(lane);
  remove_if_forgotten(lanes_.find(space));
}

void History::drop_first(Lane& lane) {
  const auto first = lane.entries.front();
  const auto& event = first->second.event;
  if (const auto latest = latest_.find(event.now->key()); latest->second == first) latest_.erase(latest);
  unsaved_.dropped.push_back(first->first);
  lane.entries.pop_front();
  set_use(lane, lane.bytes - cost(event), lane.has_share);
  entries_.erase(first);
}

// Names of VMs that are gone for good must not add up over the years.
void History::remove_if_forgotten(Lanes::iterator lane) {
  if (lane->second.has_share || !lane->second.entries.empty()) return;
  floor_ = std::max(floor_, lane->second.compacted);
  unsaved_.compactions[lane->first] = std::nullopt;
  lanes_.erase(lane);
}

}  // namespace hostcall::daemon::store
