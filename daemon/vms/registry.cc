#include "daemon/vms/registry.h"

#include <algorithm>

#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

std::string place(const FileRecord& record) { return record.file + ":" + std::to_string(record.line); }

std::string vm_text(const VmRecord& record) { return "VM \"" + record.name + "\""; }

// The owners of names, CIDs and sockets. Records that are in force already, and those of files, clash by the text of
// their paths: what a path names can change under them, by whoever may write to its directory, and must not keep the
// other VMs from their host. A record that is added is compared by what its path names now. The daemon's own sockets
// are compared so for all.
class Claims {
 public:
  explicit Claims(const std::vector<OwnSocket>& own) {
    for (const auto& socket : own)
      own_.try_emplace(keys_.key_of(socket.path), Claim{socket.path, "hostcalld itself, as " + socket.name});
  }
  // The error says what is taken and by whom. Claims nothing after that.
  Done claim(const VmRecord& record, const std::string& origin) {
    return claim_each(record, vm_text(record) + " (" + origin + ")").within(vm_text(record));
  }
  // For a registered VM: an earlier owner keeps its claim.
  void keep(const Vm& vm) { static_cast<void>(claim(vm.record, vm.origin)); }
  // For a record to be added, after those that are registered.
  Done claim_new(const VmRecord& record) {
    HOSTCALL_TRY(claim(record, {}));
    if (record.unix_path.empty()) return done();
    for (const auto& path : {record.unix_path, behind_links(record.unix_path)})
      HOSTCALL_TRY(find_alias(record, path).within(vm_text(record)));
    return done();
  }

 private:
  struct Claim {
    std::string path;
    std::string owner;
  };

  Done claim_each(const VmRecord& record, const std::string& owner) {
    HOSTCALL_TRY(take("the name \"" + record.name + "\"", owner));
    if (record.cid != 0) HOSTCALL_TRY(take("CID " + std::to_string(record.cid), owner));
    if (!record.unix_path.empty()) HOSTCALL_TRY(take_socket(record.unix_path, owner));
    return done();
  }
  Done take(const std::string& what, const std::string& owner) {
    const auto [at, is_new] = owners_.emplace(what, owner);
    if (is_new) return done();
    return Error{0, what + " is taken by " + at->second};
  }
  Done take_socket(const std::string& path, const std::string& owner) {
    if (const auto own = own_.find(keys_.key_of(path)); own != own_.end()) return taken(path, own->second);
    const auto [at, is_new] = sockets_.try_emplace(path, owner);
    return is_new ? done() : taken(path, {path, at->second});
  }
  // The record has claimed its own path already.
  Done find_alias(const VmRecord& record, const std::string& path) {
    const auto key = keys_.key_of(path);
    if (const auto own = own_.find(key); own != own_.end()) return taken(record.unix_path, own->second);
    for (const auto& [other, owner] : sockets_)
      if (other != record.unix_path && keys_.key_of(other) == key) return taken(record.unix_path, {other, owner});
    return done();
  }
  static Done taken(const std::string& path, const Claim& by) {
    return Error{0, "unix_path " + path + " is taken by " + by.owner +
                        (by.path == path ? "" : ", which calls the same socket " + by.path)};
  }

  std::map<std::string, std::string> owners_;
  std::map<std::string, std::string> sockets_;  // owners by path
  SocketKeys keys_;
  std::map<std::string, Claim> own_;  // by key
};

void claim_files(Claims& claims, const std::vector<FileRecord>& records) {
  for (const auto& record : records) require(claims.claim(record.record, place(record)), record.file, record.line);
}

// Refuses a record whose limits contradict the defaults.
Done check_together(const VmRecord& record, const Limits& defaults) {
  return check_limits(limits_of(record, defaults)).within(vm_text(record));
}

std::string vsock_refusal(const net::Peer& peer) {
  const auto cid = std::to_string(peer.cid);
  if (peer.cid == net::kCidLocal)
    return "a process of the host itself (CID 1, loopback) is not a guest; use hostcallctl, or a Unix listener of a VM";
  if (peer.local_cid != net::kCidHost)
    return "CID " + cid + " dialled CID " + std::to_string(peer.local_cid) +
           ", as which this machine is itself a guest; hostcalld serves only its own guests, which dial CID 2";
  if (peer.cid <= net::kCidHost || peer.cid == net::kCidAny)
    return "CID " + cid + " is reserved and never a guest's; start the VM with a guest CID above 2";
  return "CID " + cid + " is not registered with this host; on the host: hostcallctl vm add NAME --cid " + cid;
}

std::string unix_refusal(const net::Peer& peer, const net::Address& listener, const Vm* vm) {
  if (vm != nullptr && vm->record.vmm_uid)
    return "the VMM on " + listener.to_string() + " runs as uid " + std::to_string(peer.uid) + ", but " +
           vm_text(vm->record) + " demands uid " + std::to_string(*vm->record.vmm_uid) +
           "; run the VMM as that user or correct vmm_uid in the VM's record";
  return "no VM is registered with the listener " + listener.to_string() +
         "; on the host: hostcallctl vm add NAME --unix " + listener.path;
}

TokenBucket connect_bucket(const Limits& limits) {
  return {static_cast<double>(limits.connect_rate), static_cast<double>(limits.connect_burst)};
}

TokenBucket write_bucket(const Limits& limits) {
  return {static_cast<double>(limits.store_write_rate), static_cast<double>(limits.store_write_burst)};
}

}  // namespace

Vm::Vm(VmRecord vm_record, std::string vm_origin, std::uint64_t number, const Limits& limits)
    : record(std::move(vm_record)),
      origin(std::move(vm_origin)),
      registration(number),
      quota(limits),
      connect_rate(connect_bucket(limits)),
      store_write_rate(write_bucket(limits)) {}

void Vm::set_limits(const Limits& limits) {
  const auto& old = quota.limits();
  if (limits.connect_rate != old.connect_rate || limits.connect_burst != old.connect_burst)
    connect_rate = connect_bucket(limits);
  if (limits.store_write_rate != old.store_write_rate || limits.store_write_burst != old.store_write_burst)
    store_write_rate = write_bucket(limits);
  quota.set_limits(limits);
}

Registry::Registry(RegistryPaths paths, const Limits& defaults) : paths_(std::move(paths)), defaults_(defaults) {
  auto runtime = RuntimeState::read(paths_.runtime_file);
  last_registration_ = runtime.last_registration;
  for (const auto& entry : runtime.entries) {
    last_registration_ = std::max(last_registration_, entry.registration);
    remembered_.insert_or_assign(entry.record.name, entry);
  }
  Claims claims(paths_.own_sockets);
  Table table;
  const auto take = [&](const VmRecord& record, std::string_view origin, const std::string& file, unsigned line) {
    if (const auto claimed = claims.claim(record, file); !claimed.ok())
      throw ConfigError(file, line,
                        claimed.error().message() + "; hostcalld wrote this file itself: remove the record");
    table.emplace(record.name, make(record, std::string(origin), defaults_));
  };
  for (const auto& entry : runtime.entries)
    if (entry.run_time) take(entry.record, Vm::kRunTime, paths_.runtime_file, 0);
  for (const auto& record : read_state(paths_.state_file))
    take(record.record, Vm::kPersistent, record.file, record.line);
  commit(std::move(table));
}

std::vector<FileRecord> Registry::read_directory(const std::string& directory, const std::vector<OwnSocket>& own) {
  std::vector<FileRecord> records;
  for (const auto& path : json_files(directory))
    for (auto& record : records_of(JsonValue::read(path))) records.push_back(std::move(record));
  Claims claims(own);
  claim_files(claims, records);
  return records;
}

void Registry::check_files(const std::vector<FileRecord>& records, const Limits& defaults) const {
  Claims claims(paths_.own_sockets);
  for (const auto& [name, vm] : by_name_) {
    if (vm->from_file()) continue;
    claims.keep(*vm);
    if (const auto checked = check_together(vm->record, defaults); !checked.ok())
      throw ConfigError(checked.error().message() + "; or remove the VM, which was added at run time");
  }
  claim_files(claims, records);
  for (const auto& record : records) require(check_together(record.record, defaults), record.file, record.line);
}

std::uint64_t Registry::registration_of(const VmRecord& record) {
  const auto at = remembered_.find(record.name);
  return at != remembered_.end() && at->second.record == record ? at->second.registration : ++last_registration_;
}

VmRef Registry::make(const VmRecord& record, std::string origin, const Limits& defaults) {
  return std::make_shared<Vm>(record, std::move(origin), registration_of(record), limits_of(record, defaults));
}

VmRef Registry::keep_or_make(const FileRecord& record, const Limits& defaults) {
  if (auto vm = find(record.record.name); vm != nullptr && vm->record == record.record) return vm;
  return make(record.record, place(record), defaults);
}

Registry::Change Registry::replace_files(const std::vector<FileRecord>& records, const Limits& defaults) {
  check_files(records, defaults);
  Table next;
  for (const auto& [name, vm] : by_name_)
    if (!vm->from_file()) next.emplace(name, vm);
  for (const auto& record : records) next.emplace(record.record.name, keep_or_make(record, defaults));
  if (const auto saved = save(next, false); !saved.ok())
    throw ConfigError("the VM registrations can't be kept: " + saved.error().message());

  Change change;
  for (const auto& [name, vm] : next)
    if (find(name) != vm) change.added.push_back(vm);
  for (const auto& [name, vm] : by_name_) {
    const auto at = next.find(name);
    if (at == next.end() || at->second != vm) change.removed.push_back(vm);
  }
  for (const auto& record : records) next.find(record.record.name)->second->origin = place(record);
  for (const auto& [name, vm] : next) vm->set_limits(limits_of(vm->record, defaults));
  for (const auto& vm : change.removed) vm->removed = true;
  defaults_ = defaults;
  remembered_.clear();
  commit(std::move(next));
  return change;
}

std::optional<Registry::Refusal> Registry::refuse_new(const VmRecord& record) const {
  using Kind = Refusal::Kind;
  if (const auto checked = check_record(record); !checked.ok())
    return Refusal{Kind::kInvalid, checked.error().message()};
  if (const auto checked = check_together(record, defaults_); !checked.ok())
    return Refusal{Kind::kInvalid, checked.error().message()};
  Claims claims(paths_.own_sockets);
  for (const auto& [name, vm] : by_name_) claims.keep(*vm);
  if (const auto claimed = claims.claim_new(record); !claimed.ok())
    return Refusal{Kind::kTaken, claimed.error().message()};
  return std::nullopt;
}

Registry::Outcome Registry::add(const VmRecord& record, bool persistent) {
  if (auto refusal = refuse_new(record)) return {nullptr, *std::move(refusal)};
  auto vm = make(record, std::string(persistent ? Vm::kPersistent : Vm::kRunTime), defaults_);
  Table next = by_name_;
  next.emplace(record.name, vm);
  if (const auto saved = save(next, persistent); !saved.ok())
    return {nullptr, {Refusal::Kind::kStorage, vm_text(record) + " is not added: " + saved.error().message()}};
  commit(std::move(next));
  return {std::move(vm), {}};
}

Registry::Outcome Registry::remove(const std::string& name) {
  using Kind = Refusal::Kind;
  auto vm = find(name);
  if (vm == nullptr) return {nullptr, {Kind::kNotFound, "no VM " + in_quotes(name) + " is registered"}};
  if (vm->from_file())
    return {nullptr,
            {Kind::kFromFile, vm_text(vm->record) + " comes from " + vm->origin +
                                  "; take it out there, then: systemctl reload hostcalld"}};
  Table next = by_name_;
  next.erase(name);
  if (const auto saved = save(next, vm->origin == Vm::kPersistent); !saved.ok())
    return {nullptr, {Kind::kStorage, vm_text(vm->record) + " is not removed: " + saved.error().message()}};
  vm->removed = true;
  commit(std::move(next));
  return {std::move(vm), {}};
}

Done Registry::save(const Table& table, bool with_state) const {
  RuntimeState runtime{.last_registration = last_registration_, .entries = {}};
  std::vector<VmRecord> persistent;
  for (const auto& [name, vm] : table) {
    runtime.entries.push_back(
        {.registration = vm->registration, .run_time = vm->origin == Vm::kRunTime, .record = vm->record});
    if (vm->origin == Vm::kPersistent) persistent.push_back(vm->record);
  }
  // In this order, a failure between the two has no effect, because a number without a VM is ignored.
  HOSTCALL_TRY(runtime.write(paths_.runtime_file));
  return with_state ? write_state(paths_.state_file, persistent) : done();
}

void Registry::commit(Table table) {
  by_name_ = std::move(table);
  by_cid_.clear();
  by_path_.clear();
  for (const auto& [name, vm] : by_name_) {
    if (vm->record.cid != 0) by_cid_.emplace(vm->record.cid, vm);
    if (!vm->record.unix_path.empty()) by_path_.emplace(vm->record.unix_path, vm);
  }
}

VmRef Registry::find(std::string_view name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : at->second;
}

VmRef Registry::find_by_cid(std::uint32_t local_cid, std::uint32_t peer_cid) const {
  if (local_cid != net::kCidHost) return nullptr;
  // No record has a reserved CID.
  const auto at = by_cid_.find(peer_cid);
  return at == by_cid_.end() ? nullptr : at->second;
}

VmRef Registry::find_by_path(std::string_view path) const {
  const auto at = by_path_.find(std::string(path));
  return at == by_path_.end() ? nullptr : at->second;
}

std::string Registry::refusal_text(const net::Peer& peer, const net::Address& listener, const Vm* vm) {
  return peer.family == net::Address::Family::kVsock ? vsock_refusal(peer) : unix_refusal(peer, listener, vm);
}

}  // namespace hostcall::daemon
