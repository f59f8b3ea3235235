// DaemonProcess: a real hostcalld in a directory of its own. It recognises VMs by their Unix listeners, so a test
// chooses its identity by its address: whoever connects to vm_address("web1") is web1.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace hostcall::test {

// Longer than any test waits.
inline constexpr std::uint64_t kFarMs = 600'000;
static_assert(std::chrono::milliseconds(kFarMs) > 2 * kPatience);

struct DaemonOptions {
  std::vector<std::string> vms = {"web1", "db1"};  // each has its own Unix listener
  std::string vms_json;     // replaces `vms`: the text of a file in vms.d; @DIR@ stands for the directory
  std::string config_json;  // more members of hostcalld.json: "\"limits\": {…}"
  // The text of the policy file. Empty: allows all methods for guests.
  std::string policy_json;
  // The text of a file in services.d; @DIR@ stands for the directory, @USER@ for what a program of this user needs.
  std::string services_json;
  // Members of "timeouts". Others default to so far away that no test reaches them on however slow a machine, except
  // that base_idle_ms, drain_ms and call_max_ms keep the daemon's defaults.
  std::map<std::string, std::uint64_t> timeouts_ms;
  bool starts = true;  // false: only writes the files; see launch()
};

class DaemonProcess {
 public:
  // Starts the daemon and waits until it is ready. If it fails to start, throws with its output.
  explicit DaemonProcess(const DaemonOptions& options = {});

  const TempDir& directory() const { return directory_; }
  std::string config_file() const { return directory_ / "hostcalld.json"; }
  std::string policy_file() const { return directory_ / "policy.d/50-test.json"; }
  std::string services_file() const { return directory_ / "services.d/50-test.json"; }  // not there at first
  std::string vms_file() const { return directory_ / "vms.d/50-test.json"; }
  std::string vm_path(const std::string& vm) const { return directory_ / (vm + ".sock"); }
  std::string vm_address(const std::string& vm) const { return "unix:" + vm_path(vm); }
  std::string admin_path() const { return directory_ / "admin.sock"; }
  std::string admin_address() const { return "unix:" + admin_path(); }

  Process& process() { return *process_; }
  // Starts the daemon again after it has ended.
  void restart();
  // The same without waiting, with variables added to its environment.
  void launch(const std::map<std::string, std::string>& environment = {});
  // Sends SIGTERM and returns the exit code; 255 if the daemon does not end.
  int stop();

 private:
  TempDir directory_;
  std::unique_ptr<Process> process_;
};

// Paths of the built programs. meson sets HOSTCALL_BUILD for tests; HOSTCALL_CLI names a hostcall other than the one
// built there.
std::string program(const std::string& name);

}  // namespace hostcall::test
