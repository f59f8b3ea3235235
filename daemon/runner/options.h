// The command line of hostcall-runner.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace hostcall::daemon {

struct RunnerOptions {
  enum class Way {
    kNone,
    kDirect,   // on one connection, without systemd
    kSystemd,  // on the socket that systemd listens on
    kTcp,      // the same for hostcall-connect
    kConnect,  // one socket, as whoever runs it
  };
  Way way = Way::kNone;
  int socket_fd = -1;                 // kDirect
  std::string user = "hostcall";      // kSystemd, kTcp: hostcalld's
  std::string address;                // kConnect
  std::vector<std::string> services;  // directories; earlier ones take precedence
};

// Returns an exit code if nothing is left to run: help or version were printed, or the usage was wrong.
std::optional<int> parse_runner_options(int argc, char** argv, RunnerOptions& options);

}  // namespace hostcall::daemon
