#include "daemon/services/store_watch.h"

namespace hostcall::daemon {
namespace {

// How much a message holds of keys and values, unless one item is larger.
constexpr std::size_t kMessageBytes = 64 * 1024;

}  // namespace

StoreWatch::StoreWatch(store::Engine& engine, Reactor& reactor, const StoreNames& names,
                       const v1::WatchRequest& request, std::string prefix, Charges charges,
                       std::function<bool(std::string_view key)> may)
    : engine_(engine),
      names_(names),
      options_{.prefix = std::move(prefix), .from_revision = request.from_revision(), .snapshot = request.snapshot()},
      began_at_(options_.from_revision != 0 ? options_.from_revision - 1 : engine.revision()),
      progress_interval_(milliseconds(request.progress_interval_ms())),
      previous_(request.previous()),
      charges_(std::move(charges)),
      may_(std::move(may)),
      progress_(reactor, Callback::to<&StoreWatch::on_progress_due>(this)),
      reactor_(reactor) {}

void StoreWatch::start() {
  watch_ = engine_.watch(options_, *this);
  if (!watch_)
    return call().finish({Code::kFailedPrecondition, "from_revision " + std::to_string(options_.from_revision) +
                                                         " is in the future: the store is at " +
                                                         std::to_string(engine_.revision()) +
                                                         "; was it replaced? Start with a snapshot"});
  // A snapshot needs no greeting before it.
  greeted_ = options_.snapshot;
  pump();
}

// Sends what the watch has until the caller takes no more. Asks the watch again later for the rest, so a slow reader
// gets coalesced changes.
void StoreWatch::pump() {
  if (!greeted_) {
    message_.Clear();
    message_.set_revision(began_at_);
    if (!send()) return;
    greeted_ = true;
  }
  for (;;) {
    const auto delivery = watch_->next(kMessageBytes);
    if (delivery.kind == store::Delivery::Kind::kNothing) return;
    if (delivery.kind == store::Delivery::Kind::kCompacted) return end_compacted(delivery.compact_revision);
    if (fill(delivery) && !send()) return;
    watch_->taken();
    charges_.snapshot.set(watch_->held_bytes());
  }
}

// False: policy hides all of it from the caller.
bool StoreWatch::fill(const store::Delivery& delivery) {
  using Kind = store::Delivery::Kind;
  message_.Clear();
  for (const auto& item : delivery.items)
    if (is_seen(*item)) fill_item(names_, *item, true, *message_.add_snapshot());
  for (const auto& event : delivery.events)
    if (is_seen(*event.now)) fill_event(names_, event, previous_, *message_.add_events());
  message_.set_revision(delivery.revision);
  message_.set_coalesced(delivery.kind == Kind::kCoalesced);
  // A store without any write is at revision 0, and its snapshot is one empty part.
  message_.set_snapshot_complete(delivery.kind == Kind::kSnapshot &&
                                 (delivery.revision != 0 || delivery.items.empty()));
  return delivery.kind != Kind::kEvents || message_.events_size() != 0;
}

void StoreWatch::end_compacted(store::Revision compact_revision) {
  message_.Clear();
  message_.set_compact_revision(compact_revision);
  if (call().send(message_) != wire::SendOutcome::kSent) return;  // on_writable() tries again
  call().finish({Code::kOutOfRange, "the changes up to revision " + std::to_string(compact_revision) +
                                        ", which this watch needs, are compacted; start again with a snapshot"});
}

// False: the caller takes no more now, or the call is over and this object dies soon.
bool StoreWatch::send() {
  if (call().send(message_) != wire::SendOutcome::kSent) return false;
  if (progress_interval_ != Duration::zero()) progress_.set(reactor_.now() + progress_interval_);
  return true;
}

// The caller can continue at the next daemon, from its last revision.
void StoreWatch::on_drain() {
  call().finish({Code::kUnavailable, "hostcalld is stopping; watch again from the next revision"});
}

void StoreWatch::on_progress_due() {
  progress_.set(reactor_.now() + progress_interval_);
  const auto delivery = watch_->next(kMessageBytes);
  if (delivery.kind != store::Delivery::Kind::kNothing) return;  // waits until the caller takes it
  message_.Clear();
  message_.set_revision(delivery.revision);
  send();
}

bool StoreWatch::is_seen(const store::Record& record) const { return may_(names_.shown(record.key())); }

}  // namespace hostcall::daemon
