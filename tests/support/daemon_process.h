// DaemonProcess: a real hostcalld in a directory of its own. VMs are told apart by Unix listeners, which is how a test
// chooses its identity: whoever connects to vm_address("web1") is web1.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace hostcall::test {

// Further away than a test waits.
inline constexpr std::uint64_t kFarMs = 600'000;
static_assert(std::chrono::milliseconds(kFarMs) > 2 * kPatience);

struct DaemonOptions {
  std::vector<std::string> vms = {"web1", "db1"};  // each with a Unix listener of its own
  std::string vms_json;     // instead of `vms`: the whole text of a file of vms.d; @DIR@ stands for the directory
  std::string config_json;  // further members of hostcalld.json: "\"limits\": {…}"
  // The whole text of the policy; empty: everything that guests can call is allowed.
  std::string policy_json;
  // Members of "timeouts". Those that are not given are far, so that no test meets them however slow the machine is;
  // but base_idle_ms, drain_ms and call_max_ms keep their defaults.
  std::map<std::string, std::uint64_t> timeouts_ms;
};

class DaemonProcess {
 public:
  // Starts it and waits until it is ready; throws with what it said if it does not come up.
  explicit DaemonProcess(const DaemonOptions& options = {});

  const TempDir& directory() const { return directory_; }
  std::string config_file() const { return directory_ / "hostcalld.json"; }
  std::string policy_file() const { return directory_ / "policy.d/50-test.json"; }
  std::string vms_file() const { return directory_ / "vms.d/50-test.json"; }
  std::string vm_path(const std::string& vm) const { return directory_ / (vm + ".sock"); }
  std::string vm_address(const std::string& vm) const { return "unix:" + vm_path(vm); }
  std::string admin_path() const { return directory_ / "admin.sock"; }
  std::string admin_address() const { return "unix:" + admin_path(); }

  Process& process() { return *process_; }
  // Starts it again after it has ended.
  void restart();
  // SIGTERM, and its exit code; 255 if it does not end.
  int stop();

 private:
  TempDir directory_;
  std::unique_ptr<Process> process_;
};

// Paths of the built programs, from the environment that meson gives to tests: HOSTCALL_BUILD, and HOSTCALL_CLI for
// another hostcall than the one that is built there.
std::string program(const std::string& name);

}  // namespace hostcall::test
