#include "daemon/services/store_watch.h"

#include <algorithm>
#include <utility>

#include "daemon/store/history.h"
#include "handover/state.pb.h"

namespace hostcall::daemon {
namespace {

// How much a message holds of keys and values, unless one item is larger.
constexpr std::size_t kMessageBytes = 64 * 1024;
// What a message costs, and each item in it, beside its keys and values.
constexpr std::size_t kMessageWork = 256;
constexpr std::size_t kItemWork = 64;
// What it costs to look at a change of the history, whether or not it concerns the watch.
constexpr std::size_t kLookWork = 64;
// What it costs to look at a rule of policy.
constexpr std::size_t kRuleWork = kCopiedBytesPerUnit / kRulesPerUnit;
// How many of them a part may take to know which keys are hidden. The last key of it may take more.
constexpr std::size_t kPartRules = WatchTurns::kWork / kRuleWork;

std::size_t work_of(const store::Delivery& delivery) {
  auto work = kMessageWork + (delivery.items.size() + delivery.events.size()) * kItemWork;
  for (const auto& item : delivery.items) work += item->bytes();
  for (const auto& event : delivery.events) work += event.bytes();
  return work;
}

std::optional<store::WatchPlace> place_of(const handover::Watch* earlier) {
  if (earlier == nullptr) return std::nullopt;
  return store::WatchPlace{.position = earlier->position(), .coalescing_to = earlier->coalescing_to()};
}

}  // namespace

StoreWatch::StoreWatch(const Environment& environment, const Caller& caller, const v1::WatchRequest& request,
                       std::string prefix, Charges charges, May may, const handover::Watch* earlier)
    : environment_(environment),
      caller_(caller),
      names_(caller),
      options_{.prefix = std::move(prefix),
               .from_revision = request.from_revision(),
               .snapshot = request.snapshot(),
               .place = place_of(earlier)},
      began_at_(earlier != nullptr            ? earlier->began_at()
                : options_.from_revision != 0 ? options_.from_revision - 1
                                              : environment.engine.revision()),
      progress_interval_(milliseconds(request.progress_interval_ms())),
      previous_(request.previous()),
      charges_(std::move(charges)),
      may_(std::move(may)),
      progress_(environment.reactor, Callback::to<&StoreWatch::on_progress_due>(this)),
      greeted_(earlier != nullptr ? earlier->greeted() : options_.snapshot) {}  // a snapshot needs no greeting

void StoreWatch::start() {
  watch_ = environment_.engine.watch(options_, *this);
  if (watch_) return environment_.turns.add(*this);
  const auto from = options_.place ? store::History::revision_of(options_.place->position) : options_.from_revision;
  call().finish({Code::kFailedPrecondition,
                 "from_revision " + std::to_string(from) + " is in the future: the store is at " +
                     std::to_string(environment_.engine.revision()) + "; was it replaced? Start with a snapshot"});
}

void StoreWatch::hand_over(handover::Call& call, Outgoing&) const {
  const auto place = *watch_->place();
  auto& watch = *call.mutable_watch();
  watch.set_prefix(options_.prefix);
  watch.set_progress_interval_ms(
      static_cast<std::uint32_t>(std::chrono::duration_cast<milliseconds>(progress_interval_).count()));
  watch.set_previous(previous_);
  watch.set_position(place.position);
  watch.set_coalescing_to(place.coalescing_to);
  watch.set_greeted(greeted_);
  watch.set_began_at(began_at_);
}

void StoreWatch::on_writable() {
  blocked_ = false;
  environment_.turns.add(*this);
}

bool StoreWatch::keep(std::size_t bytes) {
  const auto most = kOwnBytes + bytes;
  const auto now = charges_.memory.amount();
  if (most > now) return charges_.memory.try_grow(most - now);
  charges_.memory.shrink(now - most);
  return true;
}

// ---------------------------------------------------------------- sending

// Asks the watch again later for the rest, so a slow reader gets coalesced changes.
bool StoreWatch::take_turn(std::size_t& work) {
  if (blocked_ || !greet()) return false;
  while (work > 0)
    if (!is_ready() || !send_next(work)) return false;
  return true;
}

// Asked before a message is built, which costs the turns of all watches. How large it will be, only the last one that
// was not sent can tell.
bool StoreWatch::is_ready() {
  blocked_ = !call().may_send(unsent_bytes_);
  return !blocked_;
}

bool StoreWatch::greet() {
  if (greeted_) return true;
  v1::WatchResponse message;
  message.set_revision(began_at_);
  return greeted_ = send(message);
}

// False: there is nothing to send now.
bool StoreWatch::send_next(std::size_t& work) {
  using Kind = store::Delivery::Kind;
  auto delivery = watch_->next(kMessageBytes);
  // What taken() has looked at counts with the next one.
  work -= std::min(work, work_of(delivery) + kLookWork * watch_->take_looked_at());
  if (delivery.kind == Kind::kCompacted || delivery.kind == Kind::kOverrun) return end(delivery), false;
  if (delivery.kind == Kind::kNothing) return await_progress(), false;
  if (delivery.kind == Kind::kLooking) return true;
  v1::WatchResponse message;
  const bool has_filled = fill(delivery, message);
  work -= std::min(work, kRuleWork * std::exchange(rules_looked_at_, 0));
  if (has_filled && !send(message)) return false;
  watch_->taken();
  return true;
}

// What the caller may see of the delivery, or of a first part of it if policy has many rules for its keys. Returns how
// many bytes of keys and values that is, or nothing: all.
std::optional<std::size_t> StoreWatch::fill_some(const store::Delivery& delivery, v1::WatchResponse& message) {
  std::size_t bytes = 0;
  // The changes of one revision belong into one message.
  const bool is_one = delivery.kind == store::Delivery::Kind::kEvents;
  const auto is_full = [&] { return bytes != 0 && rules_looked_at_ >= kPartRules && !is_one; };
  for (const auto& item : delivery.items) {
    if (is_full()) return bytes;
    bytes += item->bytes();
    if (is_seen(*item)) fill_item(names_, *item, true, *message.add_snapshot());
  }
  for (const auto& event : delivery.events) {
    if (is_full()) return bytes;
    bytes += event.bytes();
    if (is_seen(*event.now)) fill_event(names_, event, previous_, *message.add_events());
  }
  return std::nullopt;
}

// False: there is nothing in it for the caller, because policy hides all of it. The delivery may become a part of it.
bool StoreWatch::fill(store::Delivery& delivery, v1::WatchResponse& message) {
  using Kind = store::Delivery::Kind;
  if (const auto bytes = fill_some(delivery, message)) delivery = watch_->next(*bytes);
  message.set_revision(delivery.revision);
  message.set_coalesced(delivery.kind == Kind::kCoalesced);
  message.set_snapshot_complete(delivery.last);
  const bool ends_a_set = delivery.last || (delivery.kind == Kind::kCoalesced && delivery.revision != 0);
  return ends_a_set || message.events_size() != 0 || message.snapshot_size() != 0;
}

// False: the caller takes no more now, or the call is over and this object dies soon.
bool StoreWatch::send(const v1::WatchResponse& message) {
  blocked_ = call().send(message) != wire::SendOutcome::kSent;
  unsent_bytes_ = blocked_ ? message.ByteSizeLong() : 0;
  progress_.cancel();
  return !blocked_;
}

// ---------------------------------------------------------------- the end

void StoreWatch::end(const store::Delivery& delivery) {
  if (delivery.kind == store::Delivery::Kind::kCompacted) return end_compacted(delivery.compact_revision);
  call().finish(
      over_limit(caller_, "memory_bytes", caller_.vm->quota.limits().memory_bytes,
                 "too much has changed before the snapshot was read; read it faster, or list the keys page by "
                 "page and watch from the next revision"));
}

void StoreWatch::end_compacted(store::Revision compact_revision) {
  v1::WatchResponse message;
  message.set_compact_revision(compact_revision);
  if (!send(message)) return;  // on_writable() tries again
  call().finish({Code::kOutOfRange, "the changes up to revision " + std::to_string(compact_revision) +
                                        ", which this watch needs, are compacted; start again with a snapshot"});
}

// The caller can continue at the next daemon, from its last revision.
void StoreWatch::on_drain() {
  call().finish({Code::kUnavailable, "hostcalld is stopping; watch again from the next revision"});
}

// ---------------------------------------------------------------- progress

// Only a watch that has sent everything shows that it is alive. It needs no room meanwhile.
void StoreWatch::await_progress() {
  call().pass();
  unsent_bytes_ = 0;
  if (progress_interval_ != Duration::zero() && progress_.deadline() == kNever)
    progress_.set(environment_.reactor.now() + progress_interval_);
}

void StoreWatch::on_progress_due() {
  const auto delivery = watch_->next(kMessageBytes);
  if (delivery.kind != store::Delivery::Kind::kNothing) return;  // its turn comes
  v1::WatchResponse message;
  message.set_revision(delivery.revision);
  if (send(message)) await_progress();
}

}  // namespace hostcall::daemon
