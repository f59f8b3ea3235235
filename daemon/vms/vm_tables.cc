#include "daemon/vms/vm_tables.h"

namespace hostcall::daemon {
namespace {

Error taken(const std::string& what, const Vm& by) { return {0, what + " is taken by " + owner_text(by)}; }

template <class Table, class Key>
VmRef found(const Table& table, const Key& key) {
  const auto at = table.find(key);
  return at == table.end() ? nullptr : at->second;
}

// Another VM may have taken over the key meanwhile.
template <class Table, class Key>
void erase_own(Table& table, const Key& key, const Vm& vm) {
  if (const auto at = table.find(key); at != table.end() && at->second.get() == &vm) table.erase(at);
}

}  // namespace

std::string owner_text(const Vm& vm) { return vm_text(vm.record) + " (" + vm.origin + ")"; }

std::string vm_text(const VmRecord& record) { return "VM \"" + record.name + "\""; }

Error path_taken(const std::string& path, const std::string& owner, const std::string& other) {
  return {0, "unix_path " + path + " is taken by " + owner +
                 (other == path ? "" : ", which calls the same socket " + other)};
}

VmRef VmTables::find(std::string_view name) const { return found(by_name_, name); }

VmRef VmTables::find_by_cid(std::uint32_t cid) const { return found(by_cid_, cid); }

VmRef VmTables::find_by_path(std::string_view path) const { return found(by_path_, std::string(path)); }

VmRef VmTables::find_alias(const std::string& socket_key, std::string_view path) const {
  const auto [first, last] = by_socket_.equal_range(socket_key);
  for (auto at = first; at != last; ++at)
    if (at->second->record.unix_path != path) return at->second;
  return nullptr;
}

Done VmTables::check_free(const VmRecord& record) const {
  if (const auto vm = find(record.name)) return taken("the name \"" + record.name + "\"", *vm);
  if (const auto vm = find_by_cid(record.cid)) return taken("CID " + std::to_string(record.cid), *vm);
  if (const auto vm = find_by_path(record.unix_path))
    return path_taken(record.unix_path, owner_text(*vm), record.unix_path);
  return done();
}

void VmTables::insert(const VmRef& vm) {
  by_name_.emplace(vm->record.name, vm);
  if (vm->record.cid != 0) by_cid_.emplace(vm->record.cid, vm);
  if (vm->record.unix_path.empty()) return;
  by_path_.emplace(vm->record.unix_path, vm);
  by_socket_.emplace(vm->socket_key, vm);
}

void VmTables::erase(const Vm& vm) {
  forget_socket(vm);
  erase_own(by_cid_, vm.record.cid, vm);
  erase_own(by_path_, vm.record.unix_path, vm);
  erase_own(by_name_, vm.record.name, vm);  // last: it may hold the last reference
}

void VmTables::forget_socket(const Vm& vm) {
  const auto [first, last] = by_socket_.equal_range(vm.socket_key);
  for (auto at = first; at != last; ++at)
    if (at->second.get() == &vm) return static_cast<void>(by_socket_.erase(at));
}

void VmTables::note_socket(const Vm& vm) {
  if (auto self = find(vm.record.name); self.get() == &vm) by_socket_.emplace(vm.socket_key, std::move(self));
}

bool VmTables::shrink(std::size_t vms) {
  for (; vms != 0 && !by_name_.empty(); --vms) {
    const auto vm = by_name_.begin()->second;
    erase(*vm);
  }
  return by_name_.empty();
}

}  // namespace hostcall::daemon
