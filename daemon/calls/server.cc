#include "daemon/calls/server.h"

#include <grp.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace hostcall::daemon {
namespace {

constexpr Duration kHousekeeping = seconds(5);
// This many refused callers at once are told why; further ones are closed at once. They do not count as connections, so
// that strangers can't take the VMs' places.
constexpr std::size_t kMaxRefused = 1024;
// If SO_PEERCRED is checked, anybody may connect, because the VMM runs as another user. Otherwise the path is the only
// evidence, and only this user, its group and root may connect.
constexpr mode_t kCheckedSocketMode = 0666;
constexpr mode_t kSocketMode = 0660;

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

net::Address unix_address(const std::string& path) {
  return {.family = net::Address::Family::kUnix, .cid = 0, .port = 0, .path = path};
}

// Errors at the start become exceptions.
void require(const Done& outcome) {
  if (!outcome.ok()) throw std::runtime_error(outcome.error().message());
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
      config_file_(std::move(config_file)),
      housekeeping_(parts.reactor, Callback::to<&Server::housekeeping>(this)),
      drain_timer_(parts.reactor, Callback::to<&Server::drain_over>(this)) {}

Server::~Server() = default;

// ---------------------------------------------------------------- listeners

void Server::start() {
  const auto& config = parts_.config;
  if (const auto* group = ::getgrnam(config.admin_group.c_str())) admin_group_ = group->gr_gid;
  adopt_inherited();
  for (const auto& address : config.listen) require(open(address, kSocketMode));
  require(open(unix_address(config.admin_socket), kSocketMode));
  if (admin_group_ != static_cast<gid_t>(-1) && !listeners_.at("unix:" + config.admin_socket)->inherited())
    share_admin_socket();
  open_vm_listeners();
  housekeeping_.set(parts_.reactor.now() + kHousekeeping);
  parts_.journal.write(Level::kInfo, MessageId::kStarted, "hostcalld " HOSTCALL_VERSION " started",
                       {{"EPOCH", calls_.daemon_epoch}});
  warn_of_unknown_calls();
  update_status();
}

// Fails for an ordinary user outside the group. Then only that user and root can connect.
void Server::share_admin_socket() {
  const auto& config = parts_.config;
  if (admin_group_ == ::getegid()) return;
  if (::chown(config.admin_socket.c_str(), static_cast<uid_t>(-1), admin_group_) == 0) return;
  parts_.journal.write(Level::kNotice, MessageId::kSystemError,
                       Error::from_errno("only root and this user can use the admin socket: chown " +
                                         config.admin_socket + " to group " + config.admin_group)
                           .message());
}

void Server::adopt_inherited() {
  auto sockets = inherited_sockets();
  if (!sockets.ok()) throw std::runtime_error(sockets.error().message());
  for (auto& socket : *sockets) require(add_listener(std::move(socket.fd), socket.address, true));
}

Done Server::add_listener(UniqueFd fd, const net::Address& address, bool inherited) {
  auto listener =
      std::make_unique<Listener>(parts_.reactor, static_cast<Acceptor&>(*this), std::move(fd), address, inherited);
  HOSTCALL_TRY(listener->start());
  listeners_[address.to_string()] = std::move(listener);
  return done();
}

Done Server::open(const net::Address& address, mode_t mode) {
  if (listeners_.contains(address.to_string())) return done();  // systemd passed it
  auto fd = net::listen(address, mode);
  if (!fd.ok()) return Error{0, "can't listen: " + fd.error().message()};
  return add_listener(std::move(*fd), address, false);
}

// Also journals a failure.
Done Server::open_vm_listener(const Vm& vm) {
  if (vm.record.unix_path.empty()) return done();
  const auto opened = open(unix_address(vm.record.unix_path), vm.record.vmm_uid ? kCheckedSocketMode : kSocketMode);
  if (opened.ok()) return opened;
  Error error{0, "VM \"" + vm.record.name + "\" has no listener: " + opened.error().message() +
                     "; fix it and reload (hostcallctl policy reload)"};
  parts_.journal.write(Level::kError, MessageId::kSystemError, error.what,
                       {{"VM", vm.record.name}, {"LISTENER", vm.record.unix_path}});
  return error;
}

// A VM whose directory is missing must not affect the others, so a failure is only journalled.
void Server::open_vm_listeners() {
  for (const auto& [name, vm] : parts_.registry.all()) (void)open_vm_listener(*vm);
}

void Server::close_vm_listener(const Vm& vm) {
  const auto it = listeners_.find("unix:" + vm.record.unix_path);
  if (it == listeners_.end() || it->second->inherited()) return;
  it->second->close();
  parts_.reactor.retire(std::move(it->second));
  listeners_.erase(it);
}

bool Server::is_admin(const Listener& listener) const {
  return listener.address().family == net::Address::Family::kUnix &&
         listener.address().path == parts_.config.admin_socket;
}

// ---------------------------------------------------------------- a new connection

void Server::accepted(UniqueFd fd, const Listener& listener) {
  ++parts_.stats.connections_accepted;
  Caller caller;
  Charge place;
  auto refusal = identify(fd.get(), listener, caller);
  if (refusal.ok()) refusal = admit(caller, place);
  if (!refusal.ok()) {
    ++parts_.stats.connections_refused;
    parts_.audit.caller_refused(caller, refusal.message, parts_.reactor.now());
    if (refused_ == kMaxRefused) return;
    ++refused_;
  }
  const auto id = next_session_++;
  auto connection = std::make_unique<Connection>(ConnectionEnvironment{calls_, *this}, std::move(fd), std::move(caller),
                                                 id, std::move(refusal), std::move(place));
  auto& started = *connection;
  if (started.session().state() != Session::State::kRefused)
    write_session(MessageId::kSessionOpened, started, "opened");
  connections_.emplace(id, std::move(connection));
  parts_.stats.connections_open = connections_.size();
  started.start();
}

// Fills in who the caller is. Not OK: why the daemon refuses it.
Status Server::identify(int fd, const Listener& listener, Caller& caller) {
  caller.listener = listener.name();
  const auto peer = net::peer_of(fd);
  if (!peer.ok()) return {Code::kPermissionDenied, "the caller can't be identified: " + peer.error().message()};
  caller.peer = peer.value();
  if (is_admin(listener)) {
    caller.audience = Audience::kAdmin;
    return check_admin(fd, caller.peer);
  }
  const auto& registry = parts_.registry;
  caller.vm = caller.peer.family == net::Address::Family::kVsock
                  ? registry.find_by_cid(caller.peer.local_cid, caller.peer.cid)
                  : registry.find_by_path(listener.address().path);
  const bool right_uid = !caller.vm || !caller.vm->record.vmm_uid ||
                         caller.peer.family == net::Address::Family::kVsock ||
                         *caller.vm->record.vmm_uid == caller.peer.uid;
  if (caller.vm && right_uid) return {};
  const auto text = Registry::refusal_text(caller.peer, listener.address(), caller.vm.get());
  caller.vm = nullptr;
  return {Code::kPermissionDenied, text};
}

Status Server::check_admin(int fd, const net::Peer& peer) const {
  if (peer.uid == 0 || peer.uid == ::geteuid() || peer.gid == admin_group_) return {};
  const auto groups = net::peer_groups(fd);
  if (groups.ok() && std::ranges::find(groups.value(), admin_group_) != groups.value().end()) return {};
  return {Code::kPermissionDenied, "uid " + std::to_string(peer.uid) +
                                       " may not administer hostcalld: become root or join the group " +
                                       parts_.config.admin_group};
}

// Charges the VM for a connection. Not OK: which limit is reached.
Status Server::admit(const Caller& caller, Charge& place) {
  if (stopping_) return {Code::kUnavailable, "the daemon is stopping"};
  if (connections_.size() - refused_ >= parts_.config.max_connections)
    return {Code::kResourceExhausted,
            "the host's limit max_connections (" + std::to_string(parts_.config.max_connections) + ") is reached"};
  if (!caller.vm) return {};
  if (const auto wait = caller.vm->connect_rate.take(parts_.reactor.now()); wait > Duration::zero())
    return {Code::kResourceExhausted,
            caller.title() + ": the limit connect_rate (" + std::to_string(caller.vm->quota.limits().connect_rate) +
                " per second) is reached; retry in " + std::to_string(std::chrono::ceil<milliseconds>(wait).count()) +
                " ms, or keep connections open",
            wait};
  place = Charge(caller.vm->quota, Resource::kConnections);
  if (place.try_grow(1)) return {};
  return over_limit(caller, "connections", caller.vm->quota.limits().connections, "close one first");
}

void Server::accept_failed(const Error& error, const Listener& listener) {
  parts_.journal.write(Level::kError, MessageId::kSystemError,
                       "accept on " + listener.address().to_string() + ": " + error.message() +
                           " (raise LimitNOFILE= of hostcalld.service if descriptors ran out)");
}

// ---------------------------------------------------------------- connections

void Server::for_each_session(const std::function<void(const SessionInfo&)>& visit) const {
  for (const auto& [id, connection] : connections_) visit(connection->info());
}

bool Server::close_session(std::uint64_t id, std::string_view why) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return false;
  it->second->end(wire::GoawayReason::kRemoved, why);
  return true;
}

void Server::closed(Connection& connection) {
  if (connection.session().state() == Session::State::kRefused)
    --refused_;
  else
    write_session(MessageId::kSessionClosed, connection, "closed");
  const auto id = connection.session().session_id();
  parts_.lifetimes.session_ended(id);
  const auto it = connections_.find(id);
  parts_.reactor.retire(std::move(it->second));
  connections_.erase(it);
  parts_.stats.connections_open = connections_.size();
  finish_if_idle();
}

// At level debug, because a script in a guest opens a session for every call.
void Server::write_session(MessageId message, const Connection& connection, std::string_view what) {
  if (!parts_.journal.writes(Level::kDebug)) return;
  const auto id = std::to_string(connection.session().session_id());
  const auto& caller = connection.caller();
  parts_.journal.write(Level::kDebug, message,
                       "session " + id + " of " + caller.title() + " " + std::string(what) + ", " +
                           std::to_string(connection.session().calls()) + " calls",
                       {{"VM", caller.name()}, {"SESSION", id}, {"PEER", caller.peer_text()}});
}

// A guest that rebooted or was restored elsewhere no longer uses its earlier sessions.
void Server::booted(const Connection& connection, bool again) {
  const auto& vm = *connection.caller().vm;
  parts_.lifetimes.boot_began(vm);
  if (again) end_sessions(vm, wire::GoawayReason::kSuperseded, "the VM has booted again", &connection);
}

void Server::end_sessions(const Vm& vm, wire::GoawayReason reason, std::string_view text, const Connection* except) {
  for (const auto& [id, connection] : connections_)
    if (connection->caller().vm.get() == &vm && connection.get() != except) connection->end(reason, text);
}

Done Server::vm_added(const Vm& vm) {
  auto opened = open_vm_listener(vm);
  parts_.journal.write(Level::kInfo, MessageId::kVmAdded,
                       "VM \"" + vm.record.name + "\" registered (" + vm.origin + ")", {{"VM", vm.record.name}});
  update_status();
  return opened;
}

std::size_t Server::vm_removed(const Vm& vm) {
  const auto sessions = vm.quota.used(Resource::kConnections);
  close_vm_listener(vm);
  end_sessions(vm, wire::GoawayReason::kRemoved, "the VM was removed or registered again", nullptr);
  parts_.journal.write(Level::kInfo, MessageId::kVmRemoved, "VM \"" + vm.record.name + "\" removed",
                       {{"VM", vm.record.name}});
  update_status();
  return sessions;
}

// ---------------------------------------------------------------- reload, shutdown

Done Server::reload() {
  Reactor::notify_systemd(
      "RELOADING=1\nMONOTONIC_USEC=" +
      std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count()));
  auto outcome = done();
  try {
    take_over(Settings::read(config_file_));
    ++parts_.stats.reloads;
    parts_.journal.write(Level::kInfo, MessageId::kReloaded, "reloaded configuration, VM records and policy");
  } catch (const ConfigError& error) {
    outcome = Error{0, error.what()};
    ++parts_.stats.reloads_failed;
    parts_.journal.write(Level::kError, MessageId::kReloadFailed,
                         std::string("reload failed, the old configuration stays in force: ") + error.what());
  }
  Reactor::notify_systemd("READY=1");
  update_status();
  return outcome;
}

// Only the first step can fail, so that a reload is never half done.
void Server::take_over(Settings settings) {
  auto& config = parts_.config;
  const auto change = parts_.registry.replace_files(settings.vms, settings.config.limits);
  parts_.access.replace(std::move(settings.policy));
  if (settings.config.listen != config.listen || settings.config.admin_socket != config.admin_socket)
    parts_.journal.write(Level::kWarning, MessageId::kReloaded,
                         "changes to listen and admin_socket need a restart of hostcalld; this reload ignores them");
  settings.config.listen = config.listen;
  settings.config.admin_socket = config.admin_socket;
  config = std::move(settings.config);
  warn_of_unknown_calls();
  parts_.journal.set_level(level_of(config.log_level).value_or(Level::kInfo));
  parts_.reactor.set_busy_poll(config.busy_poll);
  for (const auto& vm : change.removed) vm_removed(*vm);
  for (const auto& vm : change.added) (void)vm_added(*vm);
  // Retries listeners that could not be opened before.
  open_vm_listeners();
}

// Otherwise a misspelt method in a rule would silently never match.
void Server::warn_of_unknown_calls() {
  for (const auto& rule : parts_.access.policy().rules())
    for (const auto& call : rule.calls)
      if (!parts_.router.serves(call))
        parts_.journal.write(Level::kWarning, MessageId::kSystemError,
                             rule.file + ":" + std::to_string(rule.line) + ": no method is named \"" + call +
                                 "\", so the rule never matches it",
                             {{"RULE", rule.file + ":" + std::to_string(rule.line)}, {"CALL", call}});
}

void Server::shut_down() {
  if (stopping_) return;
  stopping_ = true;
  Reactor::notify_systemd("STOPPING=1\nSTATUS=Waiting for running calls");
  parts_.journal.write(Level::kInfo, MessageId::kStopping, "stopping: running calls may finish");
  for (const auto& [text, listener] : listeners_) listener->stop();
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
  update_status();
  housekeeping_.set(parts_.reactor.now() + kHousekeeping);
}

void Server::update_status() {
  if (stopping_) return;
  auto status = "STATUS=VMs: " + std::to_string(parts_.registry.all().size()) +
                ", connections: " + std::to_string(connections_.size()) +
                ", policy rules: " + std::to_string(parts_.access.policy().rules().size());
  if (status == last_status_) return;
  last_status_ = std::move(status);
  Reactor::notify_systemd(last_status_);
}

}  // namespace hostcall::daemon
