#include "daemon/vms/registry.h"

#include <algorithm>
#include <ctime>

#include "daemon/vms/claims.h"
#include "daemon/vms/replacement.h"
#include "daemon/vms/vm_directory.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

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

// The peer gets it, so it names no path of the host; the journal's record names the listener.
std::string unix_refusal(const net::Peer& peer, const Vm* vm) {
  if (vm != nullptr && vm->record.vmm_uid)
    return "the VMM on this listener runs as uid " + std::to_string(peer.uid) + ", but " + vm_text(vm->record) +
           " requires uid " + std::to_string(*vm->record.vmm_uid) +
           "; run the VMM as that user or correct vmm_uid in the VM's record";
  return "no VM is registered with this listener; on the host: hostcallctl vm add NAME --unix PATH";
}

}  // namespace

Registry::Registry(const RegistryPaths& paths, const Limits& defaults)
    : runtime_(paths.runtime_directory + "/registrations"),
      state_(paths.state_directory + "/vms"),
      own_sockets_(paths.own_sockets),
      defaults_(defaults) {
  auto runtime = runtime_.read();
  last_registration_ = written_registration_ = runtime.last_registration;
  for (const auto& entry : runtime.entries) remembered_.insert_or_assign(entry.record.name, entry);
  const auto persistent = state_.read();
  Claims claims(own_sockets_);
  const auto take = [&](const VmRecord& record, std::string_view origin, const std::string& file, unsigned line) {
    if (const auto claimed = claims.claim(record, file); !claimed.ok())
      throw ConfigError(file, line,
                        claimed.error().message() + "; hostcalld wrote this file itself: remove the record");
    tables_.insert(make(record, std::string(origin), defaults_, claims.keys().key_of(record.unix_path)));
    if (!remembered_.contains(record.name)) unwritten_.push_back(tables_.find(record.name));
  };
  for (const auto& entry : runtime.entries)
    if (entry.run_time) take(entry.record, Vm::kRunTime, runtime_.file_of(entry.record.name), 0);
  for (const auto& record : persistent) take(record.record, Vm::kPersistent, record.file, record.line);
}

Registry::~Registry() = default;
Registry::Registry(Registry&&) noexcept = default;

std::vector<FileRecord> Registry::read_directory(const std::string& directory, const RegistryPaths& paths,
                                                 const Limits& defaults) {
  std::vector<FileRecord> records;
  for (const auto& path : json_files(directory))
    for (auto& record : records_of(JsonValue::read(path))) records.push_back(std::move(record));
  Claims claims(paths.own_sockets);
  for (auto& record : records) {
    record.record = with_own_directory(std::move(record.record), paths.runtime_directory);
    require(check_record(record.record), record.file, record.line);  // the path may be too long
    require(claims.claim(record.record, record.place()), record.file, record.line);
    require(check_limits_of(record.record, defaults), record.file, record.line);
    record.socket_key = claims.keys().key_of(record.record.unix_path);
  }
  return records;
}

// Not a count, which would tell guests how many other VMs come and go.
std::uint64_t Registry::next_registration() {
  timespec since_boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
  const auto now =
      static_cast<std::uint64_t>(since_boot.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(since_boot.tv_nsec) / 1000;
  return last_registration_ = std::max(last_registration_ + 1, now);
}

VmRef Registry::make(const VmRecord& record, std::string origin, const Limits& defaults, std::string socket_key) {
  const auto at = remembered_.find(record.name);
  const bool known = at != remembered_.end() && at->second.record == record;
  auto vm = std::make_shared<Vm>(record, std::move(origin), known ? at->second.registration : next_registration(),
                                 limits_of(record, defaults));
  vm->socket_key = std::move(socket_key);
  return vm;
}

// ---------------------------------------------------------------- one VM at run time

Done Registry::check_aliases(const VmRecord& record) const {
  if (record.unix_path.empty()) return done();
  OwnSockets own(own_sockets_);
  for (const auto& path : {record.unix_path, behind_links(record.unix_path)}) {
    const auto key = own.keys().key_of(path);
    HOSTCALL_TRY(own.check(key, record.unix_path));
    if (const auto vm = tables_.find_alias(key, record.unix_path))
      return path_taken(record.unix_path, owner_text(*vm), vm->record.unix_path);
  }
  return done();
}

std::optional<Registry::Refusal> Registry::refuse_new(const VmRecord& record) const {
  using Kind = Refusal::Kind;
  if (const auto checked = check_record(record); !checked.ok())
    return Refusal{Kind::kInvalid, checked.error().message()};
  if (const auto checked = check_limits_of(record, defaults_); !checked.ok())
    return Refusal{Kind::kInvalid, checked.error().message()};
  if (auto free = tables_.check_free(record).within(vm_text(record)); !free.ok())
    return Refusal{Kind::kTaken, free.error().message()};
  if (auto refusal = next_ ? next_->refuse_new(record) : std::nullopt) return refusal;
  if (auto free = check_aliases(record).within(vm_text(record)); !free.ok())
    return Refusal{Kind::kTaken, free.error().message()};
  return std::nullopt;
}

Registry::Outcome Registry::add(const VmRecord& record, bool persistent) {
  if (auto refusal = refuse_new(record)) return {nullptr, *std::move(refusal)};
  auto vm = make(record, std::string(persistent ? Vm::kPersistent : Vm::kRunTime), defaults_,
                 SocketKeys().key_of(record.unix_path));
  if (const auto saved = write_entry(*vm); !saved.ok())
    return {nullptr, {Refusal::Kind::kStorage, vm_text(record) + " is not added: " + saved.error().message()}};
  tables_.insert(vm);
  if (next_) next_->tables.insert(vm);
  return {std::move(vm), {}};
}

Registry::Outcome Registry::find_removable(const std::string& name) const {
  using Kind = Refusal::Kind;
  auto vm = find(name);
  if (vm == nullptr) return {nullptr, {Kind::kNotFound, "no VM " + in_quotes(name) + " is registered"}};
  if (!vm->from_file()) return {std::move(vm), {}};
  return {nullptr,
          {Kind::kFromFile, vm_text(vm->record) + " comes from " + vm->origin +
                                "; take it out there, then: systemctl reload hostcalld"}};
}

Registry::Outcome Registry::find_changeable(const VmRecord& record) const {
  using Kind = Refusal::Kind;
  auto vm = find(record.name);
  if (vm == nullptr) return {nullptr, {Kind::kNotFound, "no VM " + in_quotes(record.name) + " is registered"}};
  if (vm->from_file())
    return {nullptr,
            {Kind::kFromFile, vm_text(vm->record) + " comes from " + vm->origin +
                                  "; change it there, then: systemctl reload hostcalld"}};
  auto checked = check_record(record);
  if (checked.ok()) checked = check_limits_of(record, defaults_);
  if (checked.ok() && next_) checked = check_limits_of(record, next_->defaults);
  if (!checked.ok()) return {nullptr, {Kind::kInvalid, checked.error().message()}};
  return {std::move(vm), {}};
}

// A persistent VM's entry only keeps its number, so it may fail: then the VM has a new number after the next start.
Registry::Outcome Registry::change(const VmRecord& record) {
  auto outcome = find_changeable(record);
  if (outcome.vm == nullptr) return outcome;
  auto& vm = *outcome.vm;
  auto old = std::exchange(vm.record, record);
  if (const auto saved = write_entry(vm); !saved.ok() && vm.origin != Vm::kPersistent) {
    vm.record = std::move(old);
    return {nullptr, {Refusal::Kind::kStorage, vm_text(record) + " is not changed: " + saved.error().message()}};
  }
  vm.set_limits(limits_of(record, defaults_));
  vm.policy.forget_rules();
  return outcome;
}

Registry::Outcome Registry::remove(const std::string& name) {
  auto outcome = find_removable(name);
  if (outcome.vm == nullptr) return outcome;
  // A persistent VM's entry registers nothing, it only keeps a number, so it may stay until the next start. Its record
  // is gone already, so the VM goes too.
  if (const auto saved = forget_entry(*outcome.vm); !saved.ok() && outcome.vm->origin != Vm::kPersistent)
    return {nullptr,
            {Refusal::Kind::kStorage, vm_text(outcome.vm->record) + " is not removed: " + saved.error().message()}};
  outcome.vm->removed = true;
  tables_.erase(*outcome.vm);
  if (next_) next_->tables.erase(*outcome.vm);
  return outcome;
}

std::function<Done()> Registry::writing(const Vm& vm) const {
  return [directory = state_, record = vm.record]() -> Done {
    auto written = directory.write(record);
    if (written.ok()) return written;
    // It may have its name, but perhaps not on the disk.
    const auto erased = directory.remove(record.name);
    const auto and_also = [&](std::string_view what, const Error& why) {
      return Error{written.error().code, written.error().message() + std::string(what) + why.message()};
    };
    if (!erased.removed.ok())
      return and_also("; its record is left and counts at the next start: ", erased.removed.error());
    if (erased.was_there && !erased.synced.ok())
      return and_also("; a crash of the host may bring its record back: ", erased.synced.error());
    return written;
  };
}

std::function<Done()> Registry::rewriting(const Vm& vm, const VmRecord& record) const {
  return [directory = state_, old = vm.record, record]() -> Done {
    auto written = directory.write(record);
    if (written.ok()) return written;
    // The new one may be there, but perhaps not on the disk.
    if (const auto restored = directory.write(old); !restored.ok())
      return Error{written.error().code,
                   written.error().message() +
                       "; which of both records counts at the next start is not known: " + restored.error().message()};
    return written;
  };
}

std::function<Erased()> Registry::erasing(const std::string& name) const {
  return [directory = state_, name] { return directory.remove(name); };
}

Done Registry::write_entry(const Vm& vm) const {
  return runtime_.write({.registration = vm.registration, .run_time = vm.origin == Vm::kRunTime, .record = vm.record});
}

// First the number, which no VM may get again, and then the entry that has kept it so far.
Done Registry::forget_entry(const Vm& vm) {
  if (vm.registration > written_registration_) HOSTCALL_TRY(write_number());
  return runtime_.remove(vm.record.name);
}

Done Registry::write_number() {
  if (written_registration_ == last_registration_) return done();
  HOSTCALL_TRY(runtime_.write_last_registration(last_registration_));
  written_registration_ = last_registration_;
  return done();
}

void Registry::locate(Vm& vm) {
  auto key = SocketKeys().key_of(vm.record.unix_path);
  if (key == vm.socket_key) return;
  tables_.forget_socket(vm);
  if (next_) next_->tables.forget_socket(vm);
  vm.socket_key = std::move(key);
  tables_.note_socket(vm);
  if (next_) next_->tables.note_socket(vm);
}

// ---------------------------------------------------------------- all files

Registry::Change Registry::replace_files(std::vector<FileRecord> records, const Limits& defaults) {
  begin_replacement(std::move(records), defaults);
  prepare(kAllAtOnce);
  auto change = commit();
  settle(kAllAtOnce);
  if (!trouble_.empty()) throw ConfigError(trouble_);
  return change;
}

void Registry::begin_replacement(std::vector<FileRecord> records, const Limits& defaults) {
  next_ = std::make_unique<Replacement>(std::move(records), defaults, own_sockets_);
  trouble_.clear();
}

VmRef Registry::find_by_cid(std::uint32_t local_cid, std::uint32_t peer_cid) const {
  // No record has a reserved CID.
  return local_cid == net::kCidHost ? tables_.find_by_cid(peer_cid) : nullptr;
}

std::string Registry::refusal_text(const net::Peer& peer, const Vm* vm) {
  return peer.family == net::Address::Family::kVsock ? vsock_refusal(peer) : unix_refusal(peer, vm);
}

}  // namespace hostcall::daemon
