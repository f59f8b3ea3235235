// Checks the Unix listeners of VMs, which VMMs must be able to open, and finds stale socket files.
#include <algorithm>
#include <cerrno>

#include "client/cli/text.h"
#include "client/hostcallctl/checks.h"
#include "proto/net/socket.h"

namespace hostcall::cli::host {
namespace {

constexpr char kAdvice[] = "hostcallctl policy reload creates it again";

bool may_write(const struct stat& status, uid_t uid) {
  if (uid == 0) return true;
  const bool others = (status.st_mode & S_IWOTH) != 0;
  // The groups of the VMM's user are unknown here: assumes that a group with write permission is one of them.
  return others || (status.st_mode & S_IWGRP) != 0 || (status.st_uid == uid && (status.st_mode & S_IWUSR) != 0);
}

// "what is wrong; what to do"
std::pair<std::string, std::string> split_at_advice(const std::string& text) {
  const auto at = text.rfind("; ");
  if (at == std::string::npos) return {text, "see hostcallctl vm show"};
  return {text.substr(0, at), text.substr(at + 2)};
}

// A refused connection proves that nobody listens.
bool is_stale(const std::string& path) {
  const auto address = net::Address::at_path(path);
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
      // Follows no link: whoever may write here could make the way endless.
      const auto status = machine_.link_status(path);
      if (!status.ok()) continue;
      if (S_ISDIR(status->st_mode)) look(path);
      if (S_ISSOCK(status->st_mode) && !is_known(path) && is_stale(machine_.at(path))) stale_.push_back(path);
    }
  }
  Finding result(const std::string& directory) const {
    constexpr auto kCheck = "sockets.stale";
    if (stale_.empty()) return ok(kCheck, "every socket file below " + printable(directory) + " has a listener");
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

// Abstract names have no file.
bool has_file(const v1::VmState& vm) { return vm.record().unix_path().starts_with('/'); }

// What the daemon itself says of its listeners.
Finding not_listening(const std::string& check, const v1::VmState& vm, const std::string& others = {}) {
  const auto [text, advice] = split_at_advice(printable(vm.unreachable()));
  return fail(check, "hostcalld does not listen for VM " + printable(vm.record().name()) + others + ": " + text,
              advice);
}

Finding check_listener(const Machine& machine, const v1::VmState& vm) {
  const auto& record = vm.record();
  const auto check = "listener." + record.name();
  if (!vm.unreachable().empty()) return not_listening(check, vm);
  const auto& path = record.unix_path();
  const auto status = machine.status(path);
  if (!status.ok())
    return fail(check, status.error().message() + "; the VMM of " + record.name() + " can't connect", kAdvice);
  if (!S_ISSOCK(status->st_mode))
    return fail(check, path + " is not a socket", "remove the file; " + std::string(kAdvice));
  if (!record.has_vmm_uid() || may_write(*status, record.vmm_uid())) return ok(check, path);
  return fail(check,
              path + " is not writable for uid " + std::to_string(record.vmm_uid()) + ", the VMM of " + record.name(),
              "let hostcalld make it: hostcallctl vm remove, then vm add with --vmm-uid");
}

// VMs with files of their own have findings of their own. The others share a listener or have nothing to look at.
void check_others(const std::vector<v1::VmState>& vms, Findings& findings) {
  constexpr auto kCheck = "listeners";
  std::vector<const v1::VmState*> missing;
  for (const auto& vm : vms)
    if (!vm.unreachable().empty() && !has_file(vm)) missing.push_back(&vm);
  if (missing.empty()) {
    if (std::ranges::all_of(vms, [](const v1::VmState& vm) { return vm.unreachable().empty(); }))
      findings.push_back(ok(kCheck, "hostcalld listens for every VM"));
    return;
  }
  const auto others = missing.size() == 1 ? "" : " (and " + std::to_string(missing.size() - 1) + " more)";
  findings.push_back(not_listening(kCheck, *missing[0], others));
}

}  // namespace

Findings check_sockets(const Machine& machine, const std::optional<std::vector<v1::VmState>>& vms,
                       const std::string& runtime_directory) {
  Findings findings;
  if (vms) {
    for (const auto& vm : *vms)
      if (has_file(vm)) findings.push_back(check_listener(machine, vm));
    check_others(*vms, findings);
  }
  StaleFiles stale(machine, vms ? &*vms : nullptr);
  stale.look(runtime_directory);
  findings.push_back(stale.result(runtime_directory));
  return findings;
}

}  // namespace hostcall::cli::host
