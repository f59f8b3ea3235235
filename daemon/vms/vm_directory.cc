#include "daemon/vms/vm_directory.h"

#include <sys/acl.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "proto/base/write_file.h"
#include "proto/net/address.h"

namespace hostcall::daemon {
namespace {

// A VMM's user passes through; what is inside is listed by the daemon's user only.
constexpr mode_t kParentMode = 0711;
constexpr mode_t kDirectoryMode = 01700;

std::string port_suffix() { return "_" + std::to_string(net::kDefaultPort); }

std::string own_path(const std::string& name, const std::string& runtime_directory) {
  return runtime_directory + "/vm/" + name + "/vsock.sock" + port_suffix();
}

std::filesystem::path directory_of(const VmRecord& record) {
  return std::filesystem::path(record.unix_path).parent_path();
}

struct FreeAcl {
  void operator()(acl_t acl) const { ::acl_free(acl); }
};

// Replaces all entries, so that an earlier user has none.
Done admit(const std::string& directory, uid_t uid) {
  const auto text = "u::rwx,u:" + std::to_string(uid) + ":rwx,g::---,m::rwx,o::---";
  const std::unique_ptr<std::remove_pointer_t<acl_t>, FreeAcl> acl(::acl_from_text(text.c_str()));
  if (acl && ::acl_set_file(directory.c_str(), ACL_TYPE_ACCESS, acl.get()) == 0) return done();
  return Error::from_errno("give " + directory + " to uid " + std::to_string(uid) + " by an ACL");
}

}  // namespace

VmRecord with_own_directory(VmRecord record, const std::string& runtime_directory) {
  if (record.vmm_uid && record.unix_path.empty()) record.unix_path = own_path(record.name, runtime_directory);
  return record;
}

bool has_own_directory(const VmRecord& record, const std::string& runtime_directory) {
  return record.vmm_uid && record.unix_path == own_path(record.name, runtime_directory);
}

Done make_own_directory(const VmRecord& record) {
  const auto directory = directory_of(record);
  HOSTCALL_TRY(make_directory(directory.parent_path(), kParentMode, Durability::kUnsynced));
  HOSTCALL_TRY(make_directory(directory, kDirectoryMode, Durability::kUnsynced));
  return admit(directory, *record.vmm_uid);
}

void remove_own_directory(const VmRecord& record) { (void)::rmdir(directory_of(record).c_str()); }

std::string uds_path_of(const VmRecord& record) {
  const auto suffix = port_suffix();
  return record.unix_path.ends_with(suffix) ? record.unix_path.substr(0, record.unix_path.size() - suffix.size())
                                            : std::string();
}

}  // namespace hostcall::daemon
