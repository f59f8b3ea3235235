#include "daemon/store/watch_hub.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "daemon/store/key.h"

namespace hostcall::daemon::store {
namespace {

std::size_t bytes_of(const Event& event) {
  return event.now->bytes() + (event.previous == nullptr ? 0 : event.previous->bytes());
}

}  // namespace

WatchHub::~WatchHub() { assert(size_ == 0); }

std::unique_ptr<Watch> WatchHub::watch(const WatchOptions& options, Watcher& watcher) {
  if (options.from_revision > model_.revision() + 1) return nullptr;
  return std::make_unique<LocalWatch>(*this, options, watcher);
}

void WatchHub::add(LocalWatch& watch) {
  watches_[std::string(watch.space())].push_back(&watch);
  ++size_;
}

void WatchHub::forget(LocalWatch& watch) {
  const auto at = watches_.find(watch.space());
  std::erase(at->second, &watch);
  if (at->second.empty()) watches_.erase(at);
  std::ranges::replace(ready_, &watch, nullptr);
  --size_;
}

void WatchHub::offer(History::Position from) {
  const auto& history = model_.history();
  for (auto position = std::max(from, history.begin()); position < history.end(); ++position) {
    const auto& event = history.at(position).event;
    for (const auto space : {namespace_of(event.now->key()), std::string_view()}) {
      const auto at = watches_.find(space);
      if (at == watches_.end()) continue;
      for (auto* watch : at->second)
        if (watch->offer(position, event)) ready_.push_back(watch);
    }
  }
}

void WatchHub::notify() {
  // Watches may come and go meanwhile, but only offer() adds to the list.
  for (std::size_t i = 0; i < ready_.size(); ++i)
    if (auto* watch = ready_[i]; watch != nullptr) watch->watcher().on_ready();
  ready_.clear();
}

LocalWatch::LocalWatch(WatchHub& hub, const WatchOptions& options, Watcher& watcher)
    : hub_(hub), prefix_(options.prefix), watcher_(watcher), armed_(!options.snapshot && options.from_revision == 0) {
  hub_.add(*this);
  if (options.snapshot)
    take_snapshot();
  else if (options.from_revision != 0)
    resume(options.from_revision);
}

void LocalWatch::take_snapshot() {
  in_snapshot_ = true;
  snapshot_revision_ = hub_.model_.revision();
  hub_.model_.scan(prefix_, {}, [this](const Ref& record) {
    snapshot_.push_back(record);
    snapshot_bytes_ += record->bytes();
    return true;
  });
}

void LocalWatch::resume(Revision from) {
  if (from <= history().compact_revision()) {
    lost_ = true;
    return;
  }
  history().scan(space(), history().find(from), [this](History::Position position, const History::Entry& entry) {
    offer(position, entry.event);
    return behind_ <= kMaxBehind;  // no need to count further
  });
}

bool LocalWatch::offer(History::Position position, const Event& event) {
  if (event.revision() == counted_ || !covers(prefix_, event.now->key())) return false;
  counted_ = event.revision();
  if (behind_ == 0 && coalescing_to_ == 0) position_ = position;
  ++behind_;
  return std::exchange(armed_, false);
}

Delivery::Kind LocalWatch::due() const {
  if (in_snapshot_) return Delivery::Kind::kSnapshot;
  if (lost_) return Delivery::Kind::kCompacted;
  if (behind_ == 0 && coalescing_to_ == 0) return Delivery::Kind::kNothing;
  if (position_ < history().begin()) return Delivery::Kind::kCompacted;
  return coalescing_to_ != 0 || behind_ > kMaxBehind ? Delivery::Kind::kCoalesced : Delivery::Kind::kEvents;
}

Delivery LocalWatch::next(std::size_t max_bytes) {
  delivered_ = due();
  switch (delivered_) {
    case Delivery::Kind::kSnapshot: return snapshot_part(max_bytes);
    case Delivery::Kind::kEvents: return exact();
    case Delivery::Kind::kCoalesced: return coalesced_part(max_bytes);
    case Delivery::Kind::kCompacted:
      return {.kind = Delivery::Kind::kCompacted, .compact_revision = history().compact_revision()};
    case Delivery::Kind::kNothing: break;
  }
  armed_ = true;
  return {.revision = hub_.model_.revision()};
}

Delivery LocalWatch::snapshot_part(std::size_t max_bytes) {
  Delivery part{.kind = Delivery::Kind::kSnapshot};
  part_bytes_ = 0;
  auto at = snapshot_at_;
  for (; at < snapshot_.size(); ++at) {
    const auto bytes = snapshot_[at]->bytes();
    if (!part.items.empty() && part_bytes_ + bytes > max_bytes) break;
    part_bytes_ += bytes;
    part.items.push_back(snapshot_[at]);
  }
  part_items_ = part.items.size();
  last_part_ = at == snapshot_.size();
  if (last_part_) part.revision = snapshot_revision_;
  return part;
}

Delivery LocalWatch::exact() {
  Delivery delivery{.kind = Delivery::Kind::kEvents};
  delivery.revision = history().at(position_).event.revision();
  after_ = history().end();
  history().scan(space(), position_, [&](History::Position position, const History::Entry& entry) {
    if (entry.event.revision() == delivery.revision) {
      if (covers(prefix_, entry.event.now->key())) delivery.events.push_back(entry.event);
      return true;
    }
    after_ = position;
    return false;
  });
  std::ranges::sort(delivery.events, {}, [](const Event& event) { return event.now->key(); });
  return delivery;
}

Delivery LocalWatch::coalesced_part(std::size_t max_bytes) {
  if (coalescing_to_ == 0) {
    coalescing_to_ = hub_.model_.revision();
    behind_ = 0;
  }
  Delivery part{.kind = Delivery::Kind::kCoalesced};
  std::size_t bytes = 0;
  last_part_ = true;
  after_ = history().end();
  history().scan(space(), position_, [&](History::Position position, const History::Entry& entry) {
    after_ = position;
    if (entry.event.revision() > coalescing_to_) return false;
    after_ = position + 1;
    const bool is_latest = entry.superseded == 0 || entry.superseded > coalescing_to_;
    if (!is_latest || !covers(prefix_, entry.event.now->key())) return true;
    bytes += bytes_of(entry.event);
    last_part_ = part.events.empty() || bytes <= max_bytes;
    if (last_part_)
      part.events.push_back(entry.event);
    else
      after_ = position;
    return last_part_;
  });
  if (last_part_) part.revision = coalescing_to_;
  return part;
}

void LocalWatch::taken() {
  switch (std::exchange(delivered_, Delivery::Kind::kNothing)) {
    case Delivery::Kind::kSnapshot:
      snapshot_at_ += part_items_;
      snapshot_bytes_ -= part_bytes_;
      if (!last_part_) return;
      in_snapshot_ = false;
      snapshot_ = {};
      return;
    case Delivery::Kind::kEvents: --behind_; break;
    case Delivery::Kind::kCoalesced:
      if (last_part_) coalescing_to_ = 0;
      break;
    case Delivery::Kind::kNothing:
    case Delivery::Kind::kCompacted: return;
  }
  advance(after_);
}

// Moves to the first watched event at or after `from`.
void LocalWatch::advance(History::Position from) {
  if (behind_ == 0 && coalescing_to_ == 0) return;
  position_ = from;
  history().scan(space(), from, [this](History::Position position, const History::Entry& entry) {
    position_ = position;
    return !covers(prefix_, entry.event.now->key());
  });
}

}  // namespace hostcall::daemon::store
