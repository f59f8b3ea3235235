// Config: the settings in hostcalld.json, with their defaults.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/config/json_file.h"
#include "daemon/config/limits.h"
#include "daemon/config/socket_keys.h"
#include "proto/base/clock.h"
#include "proto/net/address.h"

namespace hostcall::daemon {

// The administrator's files: $sysconfdir/hostcall of the build, usually /etc/hostcall. Nothing else writes there.
std::string config_directory();
// The defaults that hostcall comes with and that an upgrade replaces: usually /usr/lib/hostcall.
std::string vendor_directory();
// The named file; if the name is empty: the administrator's hostcalld.json, or ours if that does not exist.
std::string config_file_in_force(const std::string& named);

// Time limits.
struct Timeouts {
  Duration first_request = seconds(5);  // from the connection to Hello or the first call
  Duration frame = seconds(10);         // to complete a frame once it has started
  Duration base_idle = seconds(900);    // plain ttrpc connection without open calls
  Duration heartbeat = seconds(10);     // idle time before a Ping, 0: off; three lost ones end the session
  Duration drain = seconds(12);         // for running calls after SIGTERM, 0: none
  Duration call_default = seconds(30);  // for a call without a deadline
  Duration call_max = seconds(3600);    // the longest deadline that a call may ask for; none limits streamed replies
  bool operator==(const Timeouts&) const = default;
};

struct Config {
  std::vector<net::Address> listen;  // shared listeners, which recognise VMs by CID; systemd may pass more
  std::string admin_socket = "/run/hostcall/admin.sock";
  std::string admin_group = "hostcall";       // empty: root only
  std::optional<std::string> metrics_socket;  // nothing: metrics.sock in the runtime directory; empty: none
  bool metrics_per_vm = false;                // whether each VM has series of its own
  std::string runtime_directory = "/run/hostcall";
  std::string state_directory = "/var/lib/hostcall";
  std::string vms_directory = config_directory() + "/vms.d";
  std::string policy_directory = config_directory() + "/policy.d";
  std::string vendor_policy_directory = vendor_directory() + "/policy.d";  // empty if the file names another one
  std::string services_directory = config_directory() + "/services.d";
  std::string vendor_services_directory = vendor_directory() + "/services.d";  // empty if the file names another one
  // Who starts programs: hostcall-runner as a service of systemd, by its socket, or as hostcalld's own child.
  enum class Runner : std::uint8_t { kAuto, kSystemd, kDirect };
  Runner runner = Runner::kAuto;          // kAuto: systemd where it runs the host
  std::string log_level = "info";         // error, warning, notice, info, debug
  std::uint32_t max_connections = 16384;  // of all VMs together
  Duration busy_poll{};                   // how long to poll for input before sleeping; 0: off
  Limits limits;
  Timeouts timeouts;

  // Where systemd listens for the runner, as its units say; empty for kDirect.
  std::string runner_directory() const;
  // Where the metrics socket is; empty: there is none.
  std::string metrics_path() const { return metrics_socket.value_or(runtime_directory + "/metrics.sock"); }
  // The sockets that hostcalld opens for itself, without the guests' listeners.
  std::vector<OwnSocket> own_sockets() const;
  // Where rules are, in their order.
  std::vector<std::string> policy_directories() const;
  // Where services are; an earlier one takes precedence.
  std::vector<std::string> services_directories() const;
  // Takes from `in_force` what a reload can't change: listeners, the admin and metrics sockets with their group,
  // and the directories that hostcalld writes. Returns a warning for each setting that differs.
  std::vector<std::string> keep_until_restart(const Config& in_force);
  // Every member of the file is optional, but the file is not. Throws ConfigError.
  static Config read(const std::string& path);
  // The same; also refuses directories and a group that this host does not have. Directories of VM and policy files
  // may be missing if the file does not name them.
  static Config read_and_check(const std::string& path);

 private:
  static Config from(const JsonValue& root);
};

}  // namespace hostcall::daemon
