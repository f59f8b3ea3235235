#include "daemon/store/watch_hub.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "daemon/store/key.h"

namespace hostcall::daemon::store {

WatchHub::~WatchHub() { assert(size_ == 0); }

std::unique_ptr<Watch> WatchHub::watch(const WatchOptions& options, Watcher& watcher) {
  const auto from = options.place ? History::revision_of(options.place->position) : options.from_revision;
  if (from > model_.revision() + 1) return nullptr;
  return std::make_unique<LocalWatch>(*this, options, watcher);
}

void WatchHub::add(LocalWatch& watch) {
  auto& watches = watches_[std::string(watch.space())];
  watch.listed_at = watches.size();
  watches.push_back(&watch);
  ++size_;
}

void WatchHub::forget(LocalWatch& watch) {
  const auto at = watches_.find(watch.space());
  auto& watches = at->second;
  watches[watch.listed_at] = watches.back();
  watches[watch.listed_at]->listed_at = watch.listed_at;
  watches.pop_back();
  if (watches.empty()) watches_.erase(at);
  if (watch.ready_at != LocalWatch::kNowhere) ready_[watch.ready_at] = nullptr;
  --size_;
}

void WatchHub::make_ready(LocalWatch& watch) {
  watch.ready_at = ready_.size();
  ready_.push_back(&watch);
}

void WatchHub::offer(History::Position from) {
  model_.history().scan({}, from, [this](History::Position position, const History::Entry& entry) {
    for (const auto space : {namespace_of(entry.event.now->key()), std::string_view()}) {
      const auto at = watches_.find(space);
      if (at == watches_.end()) continue;
      for (auto* watch : at->second)
        if (watch->offer(position, entry.event)) make_ready(*watch);
    }
    return true;
  });
}

void WatchHub::notify() {
  // Watches may come and go meanwhile, but only offer() adds to the list.
  for (std::size_t i = 0; i < ready_.size(); ++i) {
    auto* watch = ready_[i];
    if (watch == nullptr) continue;
    watch->ready_at = LocalWatch::kNowhere;
    watch->watcher().on_ready();
  }
  ready_.clear();
}

LocalWatch::LocalWatch(WatchHub& hub, const WatchOptions& options, Watcher& watcher)
    : hub_(hub),
      prefix_(options.prefix),
      watcher_(watcher),
      armed_(!options.place && !options.snapshot && options.from_revision == 0) {
  if (options.place) {
    resume_at_ = position_ = options.place->position;
    coalescing_to_ = options.place->coalescing_to;
  } else if (options.from_revision != 0) {
    resume_at_ = History::position_of(options.from_revision);
  }
  hub_.add(*this);
  if (options.snapshot && !options.place) snapshot_.emplace(hub_.model_, prefix_);
}

std::optional<WatchPlace> LocalWatch::place() const {
  if (snapshot_ || overrun_ || lost_) return std::nullopt;
  const auto all_seen = History::position_of(hub_.model_.revision() + 1);
  const auto position = is_behind() ? position_ : resume_at_.value_or(all_seen);
  return WatchPlace{.position = position, .coalescing_to = coalescing_to_};
}

// Visits the changes in the watch's namespace, as History::scan() does, and counts them.
template <class Visit>
void LocalWatch::scan(History::Position from, Visit visit) {
  history().scan(space(), from, [&](History::Position position, const History::Entry& entry) {
    ++looked_at_;
    return visit(position, entry);
  });
}

// Counts the events of another part of the history.
void LocalWatch::resume() {
  const auto from = *std::exchange(resume_at_, std::nullopt);  // offer() counts
  lost_ = History::revision_of(from) <= history().compact_revision(space());
  if (lost_) return;
  begin_part();
  scan(from, [this](History::Position position, const History::Entry& entry) {
    if (is_part_over()) {
      resume_at_ = position;
      return false;
    }
    offer(position, entry.event);
    return behind_ <= kMaxBehind;  // no need to count further
  });
}

bool LocalWatch::offer(History::Position position, const Event& event) {
  if (resume_at_ || !covers(prefix_, event.now->key())) return false;
  if (event.revision() <= coalescing_to_) return false;  // of the set that is being delivered
  if (snapshot_) note_in_snapshot(event);
  if (event.revision() == counted_) return false;
  counted_ = event.revision();
  if (!is_behind()) position_ = position;
  ++behind_;
  return std::exchange(armed_, false);
}

void LocalWatch::note_in_snapshot(const Event& event) {
  if (!snapshot_->note(event) || watcher_.keep(snapshot_->kept_bytes())) return;
  overrun_ = true;
  end_snapshot();
}

void LocalWatch::end_snapshot() {
  snapshot_.reset();
  (void)watcher_.keep(0);
}

// Also if only events that it has not looked at are gone: one of them may have been for it.
bool LocalWatch::is_compacted() const {
  return lost_ || (is_behind() && History::revision_of(position_) <= history().compact_revision(space()));
}

Delivery::Kind LocalWatch::due() const {
  if (overrun_) return Delivery::Kind::kOverrun;
  if (is_compacted()) return Delivery::Kind::kCompacted;
  if (resume_at_ || is_searching_) return Delivery::Kind::kLooking;
  if (snapshot_) return Delivery::Kind::kSnapshot;
  if (!is_behind()) return Delivery::Kind::kNothing;
  return coalescing_to_ != 0 || behind_ > kMaxBehind ? Delivery::Kind::kCoalesced : Delivery::Kind::kEvents;
}

Delivery LocalWatch::next(std::size_t max_bytes) {
  if (resume_at_) resume();
  if (is_searching_ && !is_compacted()) advance(position_);
  delivered_ = due();
  switch (delivered_) {
    case Delivery::Kind::kSnapshot: return snapshot_part(max_bytes);
    case Delivery::Kind::kEvents: return exact();
    case Delivery::Kind::kCoalesced: return coalesced_part(max_bytes);
    case Delivery::Kind::kCompacted:
      return {.kind = Delivery::Kind::kCompacted, .compact_revision = history().compact_revision(space())};
    case Delivery::Kind::kOverrun:
    case Delivery::Kind::kLooking: return {.kind = delivered_};
    case Delivery::Kind::kNothing: break;
  }
  armed_ = true;
  return {.revision = hub_.model_.revision()};
}

Delivery LocalWatch::snapshot_part(std::size_t max_bytes) {
  auto part = snapshot_->read(max_bytes);
  last_part_ = part.last;
  return {.kind = Delivery::Kind::kSnapshot,
          .revision = part.last ? snapshot_->revision() : 0,
          .last = part.last,
          .items = std::move(part.items)};
}

Delivery LocalWatch::exact() {
  Delivery delivery{.kind = Delivery::Kind::kEvents};
  delivery.revision = history().at(position_).event.revision();
  after_ = history().end();
  scan(position_, [&](History::Position position, const History::Entry& entry) {
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
  begin_part();
  scan(position_, [&](History::Position position, const History::Entry& entry) {
    after_ = position;
    if (entry.event.revision() > coalescing_to_) return false;
    if (is_part_over()) return last_part_ = false;
    after_ = position + 1;
    const bool is_latest = entry.superseded == 0 || entry.superseded > coalescing_to_;
    if (!is_latest || !covers(prefix_, entry.event.now->key())) return true;
    bytes += entry.event.bytes();
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
      snapshot_->taken();
      if (last_part_) return end_snapshot();
      (void)watcher_.keep(snapshot_->kept_bytes());
      return;
    case Delivery::Kind::kEvents: --behind_; break;
    case Delivery::Kind::kCoalesced:
      if (last_part_) coalescing_to_ = 0;
      break;
    case Delivery::Kind::kNothing:
    case Delivery::Kind::kLooking:
    case Delivery::Kind::kCompacted:
    case Delivery::Kind::kOverrun: return;
  }
  advance(after_);
}

// Moves to the first watched event at or after `from`, or a part of the way to it.
void LocalWatch::advance(History::Position from) {
  is_searching_ = false;
  if (!is_behind()) return;
  position_ = from;
  begin_part();
  scan(from, [this](History::Position position, const History::Entry& entry) {
    position_ = position;
    is_searching_ = is_part_over();
    return !is_searching_ && !covers(prefix_, entry.event.now->key());
  });
}

}  // namespace hostcall::daemon::store
