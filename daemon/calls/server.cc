#include "daemon/calls/server.h"

#include <grp.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <stdexcept>

#include "daemon/calls/known_names.h"
#include "daemon/handover/incoming.h"
#include "proto/base/count.h"

namespace hostcall::daemon {
namespace {

constexpr Duration kHousekeeping = seconds(5);
// Connections on the admin socket. They do not count as connections of VMs, so that no VM locks the administrator out.
constexpr std::size_t kMaxAdministrators = 256;
constexpr std::string_view kVmChanged = "the VM was removed or registered again";

std::string random_epoch() {
  std::array<unsigned char, 8> bytes;
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    throw std::runtime_error(Error::from_errno("getrandom").message());
  std::string text;
  for (const auto byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

Status stopping() { return {Code::kUnavailable, "the daemon is stopping", {}, {}, "stopping"}; }

std::int64_t unix_nano() {
  return std::chrono::duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

Server::Server(const ServerParts& parts, std::string config_file)
    : parts_(parts),
      calls_{.reactor = parts.reactor,
             .audit = parts.audit,
             .stats = parts.stats,
             .config = parts.config,
             .router = parts.router,
             .access = parts.access,
             .daemon_epoch = random_epoch()},
      listeners_({parts.reactor, parts.journal, parts.config, parts.registry, descriptors_, *this}),
      review_(parts.reactor, connections_),
      housekeeping_(parts.reactor, Callback::to<&Server::housekeeping>(this)),
      drain_timer_(parts.reactor, Callback::to<&Server::drain_over>(this)),
      hand_over_timer_(parts.reactor, Callback::to<&Server::hand_over_if_ready>(this)),
      started_(parts.reactor.now()),
      started_unix_nano_(unix_nano()),
      reloader_(parts.reactor, parts.background, parts.registry, *this, std::move(config_file)) {}

Server::~Server() = default;

void Server::start(std::vector<InheritedSocket> sockets, Incoming& before) {
  if (const auto* group = ::getgrnam(parts_.config.admin_group.c_str())) admin_group_ = group->gr_gid;
  keep_listeners(before);
  listeners_.start(std::move(sockets), admin_group_);
  housekeeping_.set(parts_.reactor.now() + kHousekeeping);
  parts_.journal.write(Level::kInfo, MessageId::kStarted,
                       "hostcalld " HOSTCALL_VERSION " started: " + what_it_starts_with(),
                       {{"EPOCH", calls_.daemon_epoch}});
  warnings_ = parts_.catalog.services().warnings();
  auto known = daemon::known_names(parts_.router, parts_.registry);
  known.add(parts_.catalog.services());
  for (auto& warning : policy_warnings(parts_.access.policy(), known)) warnings_.push_back(std::move(warning));
  warn(warnings_);
  bound_warnings(warnings_);
  look_at_services();
  if (!before.daemon.epoch().empty()) resume(before);
  update_status();
}

// Which may take long.
void Server::look_at_services() {
  auto found = std::make_shared<std::vector<std::string>>();
  parts_.background.run(
      [found, services = parts_.catalog.services(), host = service_host(parts_.config, parts_.registry)] {
        // It must not throw. A daemon without memory for it says so where it matters.
        try {
          *found = service_warnings(services, host);
        } catch (const std::bad_alloc&) {
          found->clear();
        }
      },
      [this, found] { warn(*found); });
}

// "listens on vsock::18499, unix:/run/hostcall/admin.sock and 3 sockets of VMs; 7 VMs, 40 policy rules, 2 services"
std::string Server::what_it_starts_with() const {
  return "listens on " + listeners_.summary() + "; " + count(parts_.registry.all().size(), "VM") + ", " +
         count(parts_.access.policy().rules().size(), "policy rule") + ", " +
         count(parts_.catalog.services().size(), "service");
}

// ---------------------------------------------------------------- a new connection

void Server::accepted(UniqueFd fd, const Listener& listener) {
  ++parts_.stats.connections_accepted;
  Caller caller;
  Charge place;
  auto refusal = identify(fd.get(), listener, caller);
  if (refusal.ok()) refusal = caller.vm ? admit(fd.get(), caller, place) : admit_admin();
  if (!refusal.ok()) {
    count_reason(parts_.stats.refusals, refusal.limit);
    if (caller.vm) ++caller.vm->counts.limited;
    parts_.audit.caller_refused(caller, refusal.message, parts_.reactor.now());
    if (!descriptors_.answers(fd.get()) || !refused_.take(caller)) return;
  } else if (caller.vm) {
    vm_sessions_.emplace(caller.vm.get(), next_session_);
  } else {
    ++administrators_;
  }
  const auto id = next_session_++;
  auto& started = add(std::make_unique<Connection>(ConnectionEnvironment{calls_, *this}, std::move(fd),
                                                   std::move(caller), id, std::move(refusal), std::move(place)));
  if (started.session().state() != Session::State::kRefused)
    write_session(MessageId::kSessionOpened, started, "opened");
  if (const auto watched = started.start(); !watched.ok()) accept_failed(watched.error(), listener);
}

Connection& Server::add(std::unique_ptr<Connection> connection) {
  auto& added = *connection;
  connections_.emplace(added.session().session_id(), std::move(connection));
  parts_.stats.connections_open = connections_.size();
  return added;
}

// Fills in who the caller is. Not OK: why the daemon refuses it.
Status Server::identify(int fd, const Listener& listener, Caller& caller) {
  caller.listener = listener.name();
  const auto peer = net::peer_of(fd);
  if (!peer.ok())
    return {Code::kPermissionDenied, "the caller can't be identified: " + peer.error().message(), {}, {}, "no_peer"};
  caller.peer = peer.value();
  if (listeners_.is_admin(listener)) {
    caller.audience = Audience::kAdmin;
    return check_admin(fd, caller.peer);
  }
  const auto& registry = parts_.registry;
  caller.vm = caller.peer.family == net::Address::Family::kVsock
                  ? registry.find_by_cid(caller.peer.local_cid, caller.peer.cid)
                  : registry.find_by_path(listener.address().path);
  if (caller.vm && !serves(listener, *caller.vm)) {
    caller.vm = nullptr;
    return {Code::kUnavailable, std::string(kVmChanged), {}, {}, "vm_changed"};
  }
  const bool right_uid = !caller.vm || !caller.vm->record.vmm_uid ||
                         caller.peer.family == net::Address::Family::kVsock ||
                         *caller.vm->record.vmm_uid == caller.peer.uid;
  if (caller.vm && right_uid) return {};
  const auto text = Registry::refusal_text(caller.peer, caller.vm.get());
  const char* reason = caller.vm ? "wrong_uid" : "unknown_vm";
  caller.vm = nullptr;
  return {Code::kPermissionDenied, text, {}, {}, reason};
}

Status Server::check_admin(int fd, const net::Peer& peer) const {
  if (peer.uid == 0 || peer.uid == ::geteuid() || peer.gid == admin_group_) return {};
  const auto groups = net::peer_groups(fd);
  if (groups.ok() && std::ranges::find(groups.value(), admin_group_) != groups.value().end()) return {};
  const auto& group = parts_.config.admin_group;
  return {Code::kPermissionDenied,
          "uid " + std::to_string(peer.uid) + " may not administer hostcalld: become root" +
              (group.empty() ? "" : " or join the group " + group),
          {},
          {},
          "no_administrator"};
}

Status Server::admit_admin() const {
  if (stopping_) return stopping();
  if (administrators_ < kMaxAdministrators) return {};
  return {Code::kResourceExhausted,
          "the admin socket has " + std::to_string(kMaxAdministrators) +
              " connections already; end a hostcallctl that still runs",
          {},
          {},
          "administrators"};
}

// Charges the VM for a connection. Not OK: which limit is reached.
Status Server::admit(int fd, const Caller& caller, Charge& place) {
  if (stopping_) return stopping();
  if (guests_connected() >= parts_.config.max_connections)
    return {Code::kResourceExhausted,
            "the host's limit max_connections (" + std::to_string(parts_.config.max_connections) + ") is reached",
            {},
            {},
            "max_connections"};
  if (!descriptors_.admits(fd))
    return {Code::kResourceExhausted,
            "the host's hostcalld has no file descriptor left for this connection (of " +
                std::to_string(descriptors_.limit()) + "); on the host, raise LimitNOFILE= of hostcalld.service",
            {},
            {},
            "descriptors"};
  if (const auto wait = caller.vm->connect_rate.take(parts_.reactor.now()); wait > Duration::zero())
    return {Code::kResourceExhausted,
            caller.title() + ": the limit connect_rate (" + std::to_string(caller.vm->quota.limits().connect_rate) +
                " per second) is reached; retry in " + std::to_string(std::chrono::ceil<milliseconds>(wait).count()) +
                " ms, or keep connections open",
            wait,
            {},
            "connect_rate"};
  place = Charge(caller.vm->quota, Resource::kConnections);
  if (place.try_grow(1)) return {};
  return over_limit(caller, "connections", caller.vm->quota.limits().connections, "close one first");
}

// One record at once; the further ones are counted, and housekeeping() reports them.
void Server::accept_failed(const Error& error, const Listener& listener) {
  if (std::exchange(accept_reported_, true)) {
    ++failed_accepts_;
    return;
  }
  parts_.journal.write(Level::kError, MessageId::kSystemError,
                       "accept on " + listener.address().to_string() + ": " + error.message() +
                           " (raise LimitNOFILE= of hostcalld.service if descriptors ran out)");
}

void Server::report_failed_accepts() {
  accept_reported_ = failed_accepts_ != 0;
  if (!accept_reported_) return;
  parts_.journal.write(Level::kError, MessageId::kSystemError,
                       std::to_string(std::exchange(failed_accepts_, 0)) + " more connections could not be accepted");
}

// ---------------------------------------------------------------- connections

void Server::for_each_session(const Vm* vm, std::uint64_t after,
                              const std::function<bool(const SessionInfo&)>& visit) const {
  if (vm == nullptr) {
    for (auto at = connections_.upper_bound(after); at != connections_.end() && visit(at->second->info()); ++at) {
    }
    return;
  }
  for (auto at = vm_sessions_.upper_bound({vm, after}); at != vm_sessions_.end() && at->first == vm; ++at)
    if (!visit(connections_.at(at->second)->info())) return;
}

OpenConnections Server::connections() const {
  return {.guests = guests_connected(), .administrators = administrators_, .refused = refused_.total()};
}

bool Server::close_session(std::uint64_t id, std::string_view why) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return false;
  it->second->end(wire::GoawayReason::kRemoved, why);
  return true;
}

void Server::closed(Connection& connection) {
  const auto id = connection.session().session_id();
  forget_place(connection, id);
  // Of those that are refused there may be thousands a second.
  if (connection.session().state() != Session::State::kRefused) parts_.lifetimes.session_ended(id);
  const auto it = connections_.find(id);
  parts_.reactor.retire(std::move(it->second));
  connections_.erase(it);
  parts_.stats.connections_open = connections_.size();
  finish_if_idle();
}

void Server::forget_place(const Connection& connection, std::uint64_t id) {
  const auto& caller = connection.caller();
  if (connection.session().state() == Session::State::kRefused) return refused_.release(caller);
  write_session(MessageId::kSessionClosed, connection, "closed");
  if (caller.vm)
    vm_sessions_.erase({caller.vm.get(), id});
  else
    --administrators_;
}

// At level debug, because a script in a guest opens a session for every call.
void Server::write_session(MessageId message, const Connection& connection, std::string_view what) {
  const auto id = std::to_string(connection.session().session_id());
  const auto& caller = connection.caller();
  parts_.journal.write(Level::kDebug, message,
                       "session " + id + " of " + caller.title() + " " + std::string(what) + ", " +
                           std::to_string(connection.session().calls()) + " calls",
                       {{"VM", caller.name()}, {"SESSION", id}, {"PEER", caller.peer_text()}});
}

// A guest that rebooted or was restored elsewhere no longer uses its earlier sessions. Those that have told no boot id
// may be of either boot, so they stay.
void Server::booted(const Connection& connection, bool again) {
  const auto& vm = *connection.caller().vm;
  parts_.lifetimes.boot_began(vm);
  if (!again) return;
  end_sessions(vm, wire::GoawayReason::kSuperseded, "the VM has booted again", [](const Connection& other) {
    const auto& boot_id = other.session().boot_id();
    return !boot_id.empty() && boot_id != other.caller().vm->boot_id;
  });
}

void Server::end_sessions(const Vm& vm, wire::GoawayReason reason, std::string_view text, IsConcerned is_concerned) {
  std::vector<Connection*> ended;  // end() may close a connection, which leaves the list
  for (auto at = vm_sessions_.lower_bound({&vm, 0}); at != vm_sessions_.end() && at->first == &vm; ++at)
    ended.push_back(connections_.at(at->second).get());
  for (auto* connection : ended)
    if (is_concerned(*connection)) connection->end(reason, text);
}

Done Server::vm_added(Vm& vm) {
  auto opened = listeners_.open(vm);
  if (!opened.ok()) listeners_.remove(vm);
  return opened;
}

// "VM "web1" changed: tags web, prod; own limits streams=64"
void Server::vm_changed(const Vm& vm) {
  const auto& record = vm.record;
  std::string tags, limits;
  for (const auto& tag : record.tags) tags.append(tags.empty() ? "" : ", ").append(tag);
  for (const auto& [name, value] : record.limits)
    limits.append(limits.empty() ? "" : ", ").append(name).append("=").append(std::to_string(value));
  parts_.journal.write(Level::kInfo, MessageId::kVmChanged,
                       "VM \"" + record.name + "\" changed: tags " + (tags.empty() ? "-" : tags) + "; own limits " +
                           (limits.empty() ? "-" : limits),
                       {{"VM", record.name}});
  review_.begin();
}

ServerFacts Server::facts() const {
  return {.epoch = calls_.daemon_epoch,
          .started = started_,
          .started_unix_nano = started_unix_nano_,
          .listeners = listeners_.shared(),
          .vm_sockets = listeners_.of_vms(),
          .missing = listeners_.all_missing(),
          .connections = guests_connected(),
          .administrators = administrators_,
          .reload = last_reload_,
          .warnings = warnings_};
}

void Server::record_added(const Vm& vm) {
  parts_.journal.write(Level::kInfo, MessageId::kVmAdded,
                       "VM \"" + vm.record.name + "\" registered (" + vm.origin + ")", {{"VM", vm.record.name}});
  update_status();
}

std::size_t Server::vm_removed(const Vm& vm) {
  const auto sessions = vm.quota.used(Resource::kConnections);
  listeners_.remove(vm);
  end_sessions(vm, wire::GoawayReason::kRemoved, kVmChanged, [](const Connection&) { return true; });
  return sessions;
}

void Server::record_removed(const Vm& vm) {
  parts_.journal.write(Level::kInfo, MessageId::kVmRemoved, "VM \"" + vm.record.name + "\" removed",
                       {{"VM", vm.record.name}});
  update_status();
}

// ---------------------------------------------------------------- reload, shutdown

void Server::reload_begins() {
  Reactor::notify_systemd(
      "RELOADING=1\nMONOTONIC_USEC=" +
      std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count()));
}

void Server::reload_is_over(const ReloadOutcome& outcome) {
  if (outcome.ok()) {
    ++parts_.stats.reloads;
    warnings_ = *outcome;
    parts_.journal.write(Level::kInfo, MessageId::kReloaded, "reloaded configuration, VM records, services and policy");
  } else {
    ++parts_.stats.reloads_failed;
    parts_.journal.write(Level::kError, MessageId::kReloadFailed,
                         "reload failed, the old configuration stays in force: " + outcome.error().message());
  }
  last_reload_ = {.unix_nano = unix_nano(), .failure = outcome.ok() ? std::string() : outcome.error().message()};
  Reactor::notify_systemd("READY=1");
  update_status();
}

KnownNames Server::known_names() const {
  KnownNames known;
  known.methods = parts_.router.known_methods();
  for (const auto& [name, vm] : parts_.registry.all())
    if (!vm->from_file()) known.add(vm->record);
  return known;
}

void Server::warn(const std::vector<std::string>& warnings) {
  for (const auto& warning : warnings) parts_.journal.write(Level::kWarning, MessageId::kPolicyWarning, warning);
}

void Server::take_over(Settings settings) {
  auto& config = parts_.config;
  // Freeing many rules takes long.
  auto old = std::make_shared<std::pair<Policy, Services>>(parts_.access.exchange(std::move(settings.policy)),
                                                           parts_.catalog.exchange(std::move(settings.services)));
  parts_.background.run([unused = std::move(old)]() mutable { unused.reset(); }, [] {});
  review_.begin();
  for (const auto& kept : settings.kept) parts_.journal.write(Level::kWarning, MessageId::kReloaded, kept);
  warn(settings.warnings);
  config = std::move(settings.config);
  parts_.journal.set_level(level_of(config.log_level).value_or(Level::kInfo));
  parts_.reactor.set_busy_poll(config.busy_poll);
}

void Server::shut_down() {
  if (stopping_) return;
  stopping_ = true;
  Reactor::notify_systemd("STOPPING=1\nSTATUS=Waiting for running calls");
  parts_.journal.write(Level::kInfo, MessageId::kStopping, "stopping: running calls may finish");
  listeners_.stop();
  for (const auto& [id, connection] : connections_) connection->drain("hostcalld is stopping");
  drain_timer_.set(parts_.reactor.now() + parts_.config.timeouts.drain);
  finish_if_idle();
}

void Server::finish_if_idle() {
  if (stopping_ && connections_.empty()) parts_.reactor.stop();
}

void Server::drain_over() {
  for (const auto& [id, connection] : connections_)
    connection->end(wire::GoawayReason::kShutdown, "hostcalld is stopping; the call did not finish in time");
  // Cuts off connections that still do not close.
  constexpr Duration kLastWords = seconds(1);
  drain_timer_.set(parts_.reactor.now() + kLastWords);
  if (std::exchange(drain_overdue_, true)) parts_.reactor.stop();
}

void Server::housekeeping() {
  parts_.audit.flush(parts_.reactor.now());
  for (const auto& [name, vm] : parts_.registry.all()) vm->rates.sample(vm->counts, parts_.reactor.now());
  report_failed_accepts();
  update_status();
  housekeeping_.set(parts_.reactor.now() + kHousekeeping);
}

void Server::update_status() {
  if (stopping_) return;
  auto status = "STATUS=VMs: " + std::to_string(parts_.registry.all().size()) +
                ", connections: " + std::to_string(connections_.size()) +
                ", policy rules: " + std::to_string(parts_.access.policy().rules().size()) +
                ", services: " + std::to_string(parts_.catalog.services().size());
  if (status == last_status_) return;
  last_status_ = std::move(status);
  Reactor::notify_systemd(last_status_);
}

}  // namespace hostcall::daemon
