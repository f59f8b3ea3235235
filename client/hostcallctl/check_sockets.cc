// Checks the Unix listeners of VMs, which VMMs must be able to open, and finds stale socket files.
#include <algorithm>
#include <cerrno>

#include "client/cli/text.h"
#include "client/hostcallctl/checks.h"
#include "proto/net/socket.h"

namespace hostcall::cli::host {
namespace {

constexpr char kAdvice[] =
    "systemctl restart hostcalld.service (or the VM's hostcalld-vm@ socket unit) creates it again";

// hostcalld's own sockets, and those that systemd opens for VMs.
constexpr const char* kDirectories[] = {"/run/hostcall", "/run/hostcall-vm"};

bool may_write(const struct stat& status, uid_t uid) {
  if (uid == 0) return true;
  const bool others = (status.st_mode & S_IWOTH) != 0;
  // The groups of the VMM's user are unknown here: assumes that a group with write permission is one of them.
  return others || (status.st_mode & S_IWGRP) != 0 || (status.st_uid == uid && (status.st_mode & S_IWUSR) != 0);
}

Finding check_listener(const Machine& machine, const v1::VmRecord& record) {
  const auto check = "listener." + record.name();
  const auto& path = record.unix_path();
  const auto status = machine.status(path);
  if (!status.ok())
    return fail(check, status.error().message() + "; the VMM of " + record.name() + " can't connect", kAdvice);
  if (!S_ISSOCK(status->st_mode))
    return fail(check, path + " is not a socket", "remove the file; " + std::string(kAdvice));
  if (!record.has_vmm_uid() || may_write(*status, record.vmm_uid())) return ok(check, path);
  return fail(check,
              path + " is not writable for uid " + std::to_string(record.vmm_uid()) + ", the VMM of " + record.name(),
              "give it the group of the VMM and mode 0660: SocketGroup= and SocketMode= of the socket unit, or chgrp "
              "and chmod");
}

// A refused connection proves that nobody listens.
bool is_stale(const std::string& path) {
  const auto address = net::Address::parse("unix:" + path);
  if (!address.ok()) return false;
  const auto connection = net::start_connect(address.value(), seconds(1));
  return !connection.ok() && connection.error().code == ECONNREFUSED;
}

class StaleFiles {
 public:
  StaleFiles(const Machine& machine, const std::vector<v1::VmState>* vms) : machine_(machine), vms_(vms) {}

  void look(const std::string& directory) {
    for (const auto& name : machine_.list(directory)) {
      const auto path = directory + "/" + name;
      const auto status = machine_.status(path);
      if (!status.ok()) continue;
      if (S_ISDIR(status->st_mode)) look(path);
      if (S_ISSOCK(status->st_mode) && !is_known(path) && is_stale(machine_.at(path))) stale_.push_back(path);
    }
  }
  Finding result() const {
    constexpr auto kCheck = "sockets.stale";
    if (stale_.empty()) return ok(kCheck, "every socket file has a listener");
    return warn(kCheck, "nobody listens on " + join(stale_, ", "),
                "rm the files, or start the programs that should listen there");
  }

 private:
  // The daemon answers, so its sockets are alive; a connection would only disturb it.
  bool is_known(const std::string& path) const {
    return vms_ != nullptr &&
           std::ranges::any_of(*vms_, [&](const v1::VmState& vm) { return vm.record().unix_path() == path; });
  }
  const Machine& machine_;
  const std::vector<v1::VmState>* vms_;
  std::vector<std::string> stale_;
};

}  // namespace

Findings check_sockets(const Machine& machine, const std::optional<std::vector<v1::VmState>>& vms) {
  Findings findings;
  if (vms)
    for (const auto& vm : *vms)
      // Abstract names have no file.
      if (vm.record().unix_path().starts_with('/')) findings.push_back(check_listener(machine, vm.record()));
  StaleFiles stale(machine, vms ? &*vms : nullptr);
  for (const auto* directory : kDirectories) stale.look(directory);
  findings.push_back(stale.result());
  return findings;
}

}  // namespace hostcall::cli::host
