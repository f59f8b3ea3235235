// Config: hostcalld.json, and the options of the daemon's command line that override where things are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/config/limits.h"
#include "daemon/config/socket_keys.h"
#include "proto/base/clock.h"
#include "proto/net/address.h"

namespace hostcall::daemon {

// Where the configuration is installed: $sysconfdir/hostcall of the build, usually /etc/hostcall.
std::string config_directory();

// How long things may take.
struct Timeouts {
  Duration first_request = seconds(5);  // Hello or first call after the connection
  Duration frame = seconds(10);         // a frame that has begun
  Duration base_idle = seconds(900);    // plain ttrpc connection without open calls
  Duration heartbeat = seconds(10);     // quiet time before a Ping, 0: none; three lost end the session
  Duration drain = seconds(12);         // running calls after SIGTERM, 0: none
  Duration call_default = seconds(30);  // a call that names no deadline
  Duration call_max = seconds(3600);    // the most a call may ask for
  bool operator==(const Timeouts&) const = default;
};

struct Config {
  std::vector<net::Address> listen;  // shared listeners, VMs told apart by CID; those from systemd come on top
  std::string admin_socket = "/run/hostcall/admin.sock";
  std::string admin_group = "hostcall";  // empty: root only
  std::string runtime_directory = "/run/hostcall";
  std::string state_directory = "/var/lib/hostcall";
  std::string vms_directory = config_directory() + "/vms.d";
  std::string policy_directory = config_directory() + "/policy.d";
  std::string log_level = "info";         // error, warning, notice, info, debug
  std::uint32_t max_connections = 16384;  // of all VMs together
  Duration busy_poll{};                   // looking for input before sleeping; 0: none
  Limits limits;
  Timeouts timeouts;

  // The sockets that hostcalld opens for itself, listeners for guests apart.
  std::vector<OwnSocket> own_sockets() const { return {{"the admin socket", admin_socket}}; }
  // Everything is optional in the file. Throws ConfigError, also where the file is missing.
  static Config read(const std::string& path);
};

}  // namespace hostcall::daemon
