#include "daemon/calls/listeners.h"

#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "daemon/handover/outgoing.h"
#include "daemon/vms/vm_directory.h"
#include "proto/base/count.h"

namespace hostcall::daemon {
namespace {

// If SO_PEERCRED is checked, anybody may connect, because the VMM runs as another user. Otherwise the path is the only
// evidence, and only this user, its group and root may connect.
constexpr mode_t kCheckedSocketMode = 0666;
constexpr mode_t kSocketMode = 0660;

// What all_missing() lists.
constexpr std::size_t kMostMissing = 20;

constexpr std::string_view kOpenVsock =
    "start hostcalld.socket, or write \"listen\": [\"vsock::18499\"] in hostcalld.json, and restart hostcalld";
static_assert(net::kDefaultPort == 18499);

// Errors at the start become exceptions.
void require(const Done& outcome) {
  if (!outcome.ok()) throw std::runtime_error(outcome.error().message());
}

}  // namespace

void Listeners::start(std::vector<InheritedSocket> inherited, gid_t admin_group) {
  const auto& config = parts_.config;
  adopt(std::move(inherited));
  for (const auto& address : config.listen) require(open_at(address, kSocketMode));
  require(open_at(net::unix_address(config.admin_socket), kSocketMode));
  if (admin_group != kNoGroup && !listeners_.at("unix:" + config.admin_socket)->inherited())
    share_admin_socket(admin_group);
  // A VM whose directory is missing must not affect the others.
  for (const auto& [name, vm] : parts_.registry.all()) (void)renew(*vm);
  close_kept();
}

void Listeners::stop() {
  for (const auto& [text, listener] : listeners_) listener->stop();
}

// ---------------------------------------------------------------- from one daemon to the next

void Listeners::hand_over(Outgoing& parcel) const {
  for (const auto& [text, listener] : listeners_) {
    if (listener->inherited()) continue;
    handover::Record record;
    record.mutable_listener()->set_descriptor(parcel.add(listener->descriptor()));
    record.mutable_listener()->set_address(text);
    record.mutable_listener()->set_owner(listener->owner());
    parcel.write(record);
  }
}

void Listeners::keep(const std::string& address, UniqueFd fd, std::uint64_t owner) {
  if (fd) kept_.insert_or_assign(address, Kept{std::move(fd), owner});
}

const Listener* Listeners::find(const std::string& address) const {
  const auto at = listeners_.find(address);
  return at == listeners_.end() ? nullptr : at->second.get();
}

// Callers wait in its backlog. One that was for another registration has their peers there.
std::optional<UniqueFd> Listeners::take_kept(const net::Address& address, std::uint64_t registration) {
  const auto at = kept_.find(address.to_string());
  if (at == kept_.end()) return std::nullopt;
  auto kept = std::move(at->second);
  kept_.erase(at);
  if (kept.owner != registration) return std::nullopt;
  return std::move(kept.fd);
}

// Nobody listens on them any more: their files go, too.
void Listeners::close_kept() {
  for (auto& [text, kept] : std::exchange(kept_, {})) {
    auto address = net::listening_address(kept.fd.get());
    if (address.ok()) Listener(parts_.reactor, parts_.acceptor, std::move(kept.fd), *address, false).close();
  }
}

// Fails for an ordinary user outside the group. Then only that user and root can connect.
void Listeners::share_admin_socket(gid_t admin_group) {
  const auto& config = parts_.config;
  if (admin_group == ::getegid()) return;
  if (::chown(config.admin_socket.c_str(), static_cast<uid_t>(-1), admin_group) == 0) return;
  parts_.journal.write(Level::kNotice, MessageId::kSystemError,
                       Error::from_errno("only root and this user can use the admin socket: chown " +
                                         config.admin_socket + " to group " + config.admin_group)
                           .message());
}

void Listeners::adopt(std::vector<InheritedSocket> sockets) {
  for (auto& socket : sockets) require(add(std::move(socket.fd), socket.address, true, 0));
}

// Listeners leave the last descriptors free, as guests do.
Done Listeners::add(UniqueFd fd, const net::Address& address, bool inherited, std::uint64_t registration) {
  const auto& descriptors = parts_.descriptors;
  const bool fits = inherited || descriptors.admits(fd.get());
  auto listener =
      std::make_unique<Listener>(parts_.reactor, parts_.acceptor, std::move(fd), address, inherited, registration);
  if (!fits)
    return Error{0, "no file descriptor is left for " + address.to_string() + " (of " +
                        std::to_string(descriptors.limit()) + "); raise LimitNOFILE= of hostcalld.service"};
  HOSTCALL_TRY(listener->start());
  listeners_[address.to_string()] = std::move(listener);
  return done();
}

// `registration`: of the VM that it is for; 0: for whoever the registry names.
Done Listeners::open_at(const net::Address& address, mode_t mode, std::uint64_t registration) {
  if (listeners_.contains(address.to_string())) return done();  // systemd passed it
  if (auto kept = take_kept(address, registration)) return add(*std::move(kept), address, false, registration);
  auto fd = net::listen(address, mode);
  if (!fd.ok()) return Error{0, "can't listen: " + fd.error().message()};
  return add(std::move(*fd), address, false, registration);
}

Done Listeners::open(Vm& vm) {
  const auto& path = vm.record.unix_path;
  if (path.empty()) return done();
  const auto at = listeners_.find("unix:" + path);
  if (at != listeners_.end() && (at->second->inherited() || (at->second->has_its_file() && serves(*at->second, vm))))
    return done();
  close(vm);
  auto opened = open_at_its_place(vm);
  if (opened.ok())
    parts_.registry.locate(vm);
  else
    errors_[path] = opened.error().message();
  return opened;
}

Done Listeners::open_at_its_place(const Vm& vm) {
  const auto& record = vm.record;
  if (has_own_directory(record, parts_.config.runtime_directory)) HOSTCALL_TRY(make_own_directory(record));
  return open_at(net::unix_address(record.unix_path), record.vmm_uid ? kCheckedSocketMode : kSocketMode,
                 vm.registration);
}

std::string Listeners::renew(Vm& vm) {
  const auto opened = open(vm);
  if (opened.ok()) return {};
  auto text = "VM \"" + vm.record.name + "\" has no listener: " + opened.error().message() +
              "; fix it and reload (hostcallctl policy reload)";
  parts_.journal.write(Level::kError, MessageId::kSystemError, text,
                       {{"VM", vm.record.name}, {"LISTENER", vm.record.unix_path}});
  return text;
}

void Listeners::close(const Vm& vm) {
  errors_.erase(vm.record.unix_path);
  const auto it = listeners_.find("unix:" + vm.record.unix_path);
  if (it == listeners_.end() || it->second->inherited()) return;
  it->second->close();
  parts_.reactor.retire(std::move(it->second));
  listeners_.erase(it);
}

void Listeners::remove(const Vm& vm) {
  close(vm);
  if (has_own_directory(vm.record, parts_.config.runtime_directory)) remove_own_directory(vm.record);
}

bool Listeners::is_admin(const Listener& listener) const {
  return listener.address().family == net::Address::Family::kUnix &&
         listener.address().path == parts_.config.admin_socket;
}

std::string Listeners::unreachable(const Vm& vm) const {
  if (vm.record.cid != 0 && !has_vsock())
    return "it has a CID, but hostcalld has no vsock listener; " + std::string(kOpenVsock);
  return vm.record.unix_path.empty() ? std::string() : missing(vm);
}

// Not a walk over all: there may be one for each of thousands of VMs.
bool Listeners::has_vsock() const {
  const auto at = listeners_.lower_bound("vsock:");
  return at != listeners_.end() && at->first.starts_with("vsock:");
}

std::string Listeners::missing(const Vm& vm) const {
  const auto at = listeners_.find("unix:" + vm.record.unix_path);
  if (at == listeners_.end()) {
    const auto why = errors_.find(vm.record.unix_path);
    return (why == errors_.end() ? "it has no listener" : why->second) + "; fix it, then: hostcallctl policy reload";
  }
  if (at->second->has_its_file()) return {};
  return "the file of its socket " + vm.record.unix_path + " is gone; " +
         (at->second->inherited() ? "restart its socket unit and hostcalld"
                                  : "hostcallctl policy reload opens it again");
}

std::vector<std::string> Listeners::shared() const {
  std::vector<std::string> shared;
  for (const auto& [text, listener] : listeners_)
    if (parts_.registry.find_by_path(listener->address().path) == nullptr) shared.push_back(text);
  return shared;
}

std::size_t Listeners::of_vms() const { return listeners_.size() - shared().size(); }

std::string Listeners::summary() const {
  std::string texts;
  for (const auto& text : shared()) texts.append(texts.empty() ? "" : ", ").append(text);
  return texts + " and " + count(of_vms(), "socket") + " of VMs";
}

std::vector<std::string> Listeners::all_missing() const {
  std::vector<std::string> all;
  const auto& vms = parts_.registry.all();
  const auto with_cid = std::ranges::count_if(vms, [](const auto& vm) { return vm.second->record.cid != 0; });
  if (with_cid != 0 && !has_vsock())
    all.push_back(count(static_cast<std::size_t>(with_cid), "VM") +
                  " with a CID can't call: nothing listens on vsock; " + std::string(kOpenVsock));
  for (const auto& [path, why] : errors_) {
    if (all.size() == kMostMissing) break;
    if (const auto vm = parts_.registry.find_by_path(path)) all.push_back(vm_text(vm->record) + " can't call: " + why);
  }
  return all;
}

}  // namespace hostcall::daemon
