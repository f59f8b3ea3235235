#include "daemon/services/store_watch.h"

namespace hostcall::daemon {
namespace {

// Of keys and values in a message, where there is a choice.
constexpr std::size_t kMessageBytes = 64 * 1024;

}  // namespace

StoreWatch::StoreWatch(store::Engine& engine, Reactor& reactor, const StoreNames& names,
                       const v1::WatchRequest& request, std::string prefix, Charges charges,
                       std::function<bool(std::string_view key)> may)
    : engine_(engine),
      names_(names),
      options_{.prefix = std::move(prefix), .from_revision = request.from_revision(), .snapshot = request.snapshot()},
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
                                                         "; was it replaced? Begin with a snapshot"});
  // The snapshot is a greeting itself.
  greeted_ = options_.snapshot;
  pump();
}

// Sends what there is, as far as the caller takes it. What it does not take is asked for anew later: a reader that was
// too slow gets less then.
void StoreWatch::pump() {
  if (!greeted_) {
    message_.Clear();
    message_.set_revision(options_.from_revision != 0 ? options_.from_revision - 1 : engine_.revision());
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

// False: policy lets the caller see nothing of it.
bool StoreWatch::fill(const store::Delivery& delivery) {
  using Kind = store::Delivery::Kind;
  message_.Clear();
  for (const auto& item : delivery.items)
    if (is_seen(*item)) fill_item(names_, *item, true, *message_.add_snapshot());
  for (const auto& event : delivery.events)
    if (is_seen(*event.now)) fill_event(names_, event, previous_, *message_.add_events());
  message_.set_revision(delivery.revision);
  message_.set_coalesced(delivery.kind == Kind::kCoalesced);
  // A store that was never written is at revision 0, and its snapshot is one empty part.
  message_.set_snapshot_complete(delivery.kind == Kind::kSnapshot &&
                                 (delivery.revision != 0 || delivery.items.empty()));
  return delivery.kind != Kind::kEvents || message_.events_size() != 0;
}

void StoreWatch::end_compacted(store::Revision compact_revision) {
  message_.Clear();
  message_.set_compact_revision(compact_revision);
  call().send(message_);
  call().finish({Code::kOutOfRange, "changes up to revision " + std::to_string(compact_revision) +
                                        " are compacted and this watch is not as far; begin again with a snapshot"});
}

// False: the caller takes no more now, or the call is over, and then this object will be soon.
bool StoreWatch::send() {
  if (call().send(message_) != wire::SendOutcome::kSent) return false;
  if (progress_interval_ != Duration::zero()) progress_.set(reactor_.now() + progress_interval_);
  return true;
}

// It goes on at the next daemon, from the revision that the caller has.
void StoreWatch::on_drain() {
  call().finish({Code::kUnavailable, "hostcalld is stopping; watch again from the next revision"});
}

void StoreWatch::on_progress_due() {
  progress_.set(reactor_.now() + progress_interval_);
  if (!greeted_) return;
  const auto delivery = watch_->next(kMessageBytes);
  if (delivery.kind != store::Delivery::Kind::kNothing) return;  // it waits for the caller
  message_.Clear();
  message_.set_revision(delivery.revision);
  send();
}

bool StoreWatch::is_seen(const store::Record& record) const { return may_(names_.shown(record.key())); }

}  // namespace hostcall::daemon
