// Server between two daemons: the one before hands its connections over, and the next one goes on with them.
#include <ctime>
#include <utility>

#include "daemon/calls/server.h"
#include "daemon/handover/incoming.h"
#include "daemon/handover/outgoing.h"
#include "proto/base/count.h"

namespace hostcall::daemon {
namespace {

// How long running calls may take to finish.
constexpr Duration kGrace = milliseconds(500);
constexpr Duration kLookAgain = milliseconds(2);
constexpr char kChanged[] = "hostcalld was restarted, and its files name this VM no more, or another one";

// Runs on while the host sleeps, and is the same for both daemons.
std::int64_t boot_time_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void fill(const TokenBucket& bucket, std::uint64_t rule, TimePoint now, handover::Rate& rate) {
  rate.set_rule(rule);
  rate.set_rate(bucket.rate());
  rate.set_burst(bucket.burst());
  rate.set_tokens(bucket.left(now));
}

void fill(const Vm& vm, TimePoint now, handover::Vm& out) {
  out.set_name(vm.record.name);
  out.set_registration(vm.registration);
  out.set_boot_id(vm.boot_id);
  fill(vm.connect_rate, 0, now, *out.mutable_connect_rate());
  fill(vm.store_write_rate, 0, now, *out.mutable_store_write_rate());
  for (const auto& [rule, rate] : vm.policy.rates())
    if (!rate.is_full(now)) fill(rate, rule, now, *out.add_rates());
}

}  // namespace

// ---------------------------------------------------------------- the daemon before

void Server::hand_over(Give give, AddRest add_rest) {
  if (stopping_) return;
  stopping_ = true;
  give_ = std::move(give);
  add_rest_ = std::move(add_rest);
  silent_since_ns_ = boot_time_ns();
  Reactor::notify_systemd("STOPPING=1\nSTATUS=Handing connections over");
  listeners_.stop();
  for (const auto& [id, connection] : connections_) {
    connection->freeze();
    connection->session().prepare_hand_over();
  }
  hand_over_at_ = parts_.reactor.now() + kGrace;
  hand_over_if_ready();
}

void Server::hand_over_if_ready() {
  const auto has_unfinished = [](const auto& entry) { return entry.second->session().has_unfinished(); };
  const auto now = parts_.reactor.now();
  if (now < hand_over_at_ && std::ranges::any_of(connections_, has_unfinished))
    return hand_over_timer_.set(now + kLookAgain);
  const auto all = parcel();
  parts_.journal.write(Level::kInfo, MessageId::kStopping,
                       "handing " + count(connections_.size(), "connection") + " over to the next hostcalld");
  fail_to_hand_over(give_(all));
}

Outgoing Server::parcel() {
  Outgoing all;
  handover::Record first;
  auto& daemon = *first.mutable_daemon();
  daemon.set_version(HOSTCALL_VERSION);
  daemon.set_epoch(calls_.daemon_epoch);
  daemon.set_next_session(next_session_);
  daemon.set_silent_since_ns(silent_since_ns_);
  daemon.set_restarts(parts_.stats.restarts + 1);
  daemon.set_silence_sum_ns(parts_.stats.restart_silence_sum.count());
  all.write(first);
  listeners_.hand_over(all);
  for (const auto& [name, vm] : parts_.registry.all()) {
    handover::Record record;
    fill(*vm, parts_.reactor.now(), *record.mutable_vm());
    all.write(record);
  }
  // One that is closing has sent its last words.
  for (const auto& [id, connection] : connections_) (void)connection->hand_over(all);
  // What has ended meanwhile has told the others.
  add_rest_(all);
  return all;
}

void Server::fail_to_hand_over(const Error& error) {
  parts_.journal.write(Level::kWarning, MessageId::kSystemError,
                       "the connections can't be handed over to the next hostcalld, so they end: " + error.message());
  stopping_ = false;
  for (const auto& [id, connection] : connections_) connection->thaw();
  shut_down();
}

// ---------------------------------------------------------------- the next daemon

void Server::keep_listeners(Incoming& incoming) {
  for (const auto& listener : incoming.listeners)
    listeners_.keep(listener.address(), incoming.take(listener.descriptor()), listener.owner());
}

void Server::resume(Incoming& incoming) {
  calls_.daemon_epoch = incoming.daemon.epoch();
  next_session_ = std::max(next_session_, incoming.daemon.next_session());
  for (const auto& vm : incoming.vms) resume_vm(vm);
  for (const auto& starts : incoming.service_starts) parts_.catalog.resume(starts, parts_.reactor.now());
  for (const auto& connection : incoming.connections) resume_connection(connection, incoming);
  // Its policy may be another one.
  review_.begin();
  auto& stats = parts_.stats;
  stats.restarts = incoming.daemon.restarts();
  stats.restart_silence = nanoseconds(boot_time_ns() - incoming.daemon.silent_since_ns());
  stats.restart_silence_sum = nanoseconds(incoming.daemon.silence_sum_ns()) + stats.restart_silence;
  parts_.journal.write(Level::kInfo, MessageId::kStarted,
                       "goes on with " + count(connections_.size(), "connection") + " of hostcalld " +
                           incoming.daemon.version() + " after " +
                           std::to_string(std::chrono::duration_cast<milliseconds>(stats.restart_silence).count()) +
                           " ms of silence");
  update_status();
}

void Server::resume_vm(const handover::Vm& in) {
  const auto vm = parts_.registry.find(in.name());
  if (!vm || vm->registration != in.registration()) return;
  const auto now = parts_.reactor.now();
  vm->boot_id = in.boot_id();
  vm->connect_rate.resume(now, in.connect_rate().tokens());
  vm->store_write_rate.resume(now, in.store_write_rate().tokens());
  for (const auto& rate : in.rates()) {
    if (!(rate.rate() > 0) || !(rate.burst() >= 1)) continue;
    TokenBucket bucket(rate.rate(), rate.burst());
    bucket.resume(now, rate.tokens());
    vm->policy.resume(rate.rule(), bucket);
  }
}

// Without its listener or its VM, it ends, and says why.
void Server::resume_connection(const handover::Connection& in, Incoming& incoming) {
  auto fd = incoming.take(in.descriptor());
  if (!fd || connections_.contains(in.session())) return parts_.lifetimes.session_ended(in.session());
  Caller caller;
  Charge place;
  auto objection = find_again(in, fd.get(), caller, place);
  if (caller.vm)
    vm_sessions_.emplace(caller.vm.get(), in.session());
  else
    ++administrators_;
  auto& connection = add(std::make_unique<Connection>(ConnectionEnvironment{calls_, *this}, std::move(fd),
                                                      std::move(caller), in.session(), Status{}, std::move(place)));
  if (const auto resumed = connection.resume(in, incoming, std::move(objection)); !resumed.ok())
    parts_.journal.write(Level::kError, MessageId::kSystemError,
                         "a connection can't be gone on with: " + resumed.error().message());
}

// Who the caller is now. Not OK: no longer who it was.
Status Server::find_again(const handover::Connection& in, int fd, Caller& caller, Charge& place) {
  caller.listener = std::make_shared<const std::string>(in.listener());
  const auto* listener = listeners_.find(in.listener());
  auto status = listener == nullptr
                    ? Status{Code::kUnavailable, "hostcalld was restarted, and does not listen on " + in.listener()}
                    : identify(fd, *listener, caller);
  if (!status.ok()) return status;
  const bool is_same =
      in.vm().empty() ? !caller.vm && caller.audience == Audience::kAdmin
                      : caller.vm && caller.vm->record.name == in.vm() && caller.vm->registration == in.registration();
  if (!is_same) {
    caller.vm = nullptr;
    return {Code::kUnavailable, kChanged};
  }
  if (!caller.vm) return {};
  place = Charge(caller.vm->quota, Resource::kConnections);
  if (place.try_grow(1)) return {};
  return over_limit(caller, "connections", caller.vm->quota.limits().connections, "hostcalld was restarted with less");
}

}  // namespace hostcall::daemon
