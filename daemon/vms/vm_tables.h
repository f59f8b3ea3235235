// VmTables: registered VMs, found by name, CID, path and socket. Adding and removing one costs the same beside any
// number of others.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "daemon/config/vm_record.h"
#include "daemon/vms/vm.h"

namespace hostcall::daemon {

class VmTables {
 public:
  using ByName = std::map<std::string, VmRef, std::less<>>;

  // Sorted by name.
  const ByName& all() const { return by_name_; }
  VmRef find(std::string_view name) const;
  // Null for CID 0 too, which no VM has.
  VmRef find_by_cid(std::uint32_t cid) const;
  VmRef find_by_path(std::string_view path) const;
  // A VM whose socket has this key (config/socket_keys) and whose path is another one.
  VmRef find_alias(const std::string& socket_key, std::string_view path) const;

  // The error says which of the record's name, CID and path is taken, and by whom.
  Done check_free(const VmRecord& record) const;

  // What the VM has must be free.
  void insert(const VmRef& vm);
  // Does nothing for a VM that is not there.
  void erase(const Vm& vm);
  // Before and after the VM's path names another socket. They do nothing for a VM that is not there.
  void forget_socket(const Vm& vm);
  void note_socket(const Vm& vm);
  // Removes some VMs, so that many go in steps. Whether none is left.
  bool shrink(std::size_t vms);

 private:
  ByName by_name_;
  std::unordered_map<std::uint32_t, VmRef> by_cid_;
  std::unordered_map<std::string, VmRef> by_path_;
  std::unordered_multimap<std::string, VmRef> by_socket_;
};

// "VM "web1" (/etc/…/vms.d/web.json:3)", for messages about clashes.
std::string owner_text(const Vm& vm);
// "VM "web1"", with which messages about a record start.
std::string vm_text(const VmRecord& record);
// "X is taken by OWNER", for a Unix listener; `other`: how the owner calls the socket.
Error path_taken(const std::string& path, const std::string& owner, const std::string& other);

}  // namespace hostcall::daemon
