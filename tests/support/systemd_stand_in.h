// SystemdStandIn: a hostcalld that was started as systemd starts it: with the sockets of socket units and the
// descriptors that it has stored, restarted with them, and started again after a failure.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/daemon_process.h"
#include "tests/support/service_manager.h"

namespace hostcall::test {

struct StandInOptions {
  ManagerOptions manager;
  // VMs whose Unix sockets a socket unit opens, instead of the daemon.
  std::vector<std::string> vms_of_socket_units;
};

// What ExecStart= and Environment= say. `program` gets --config FILE and the arguments.
struct Command {
  std::string program = test::program("hostcalld");
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment;
};

class SystemdStandIn {
 public:
  // Starts the daemon and waits until it is ready. `files` describes its configuration. Throws if it does not start.
  explicit SystemdStandIn(DaemonOptions files = {}, const StandInOptions& options = {});

  // Its files and addresses; the process is here.
  const DaemonProcess& files() const { return files_; }
  Process& process() { return *process_; }
  ServiceManager& manager() { return manager_; }

  // What is started from now on.
  void set_command(Command command) { command_ = std::move(command); }
  // The next starts, so many, exit with 1 before the program does anything.
  void fail_next_starts(int count) { failing_starts_ = count; }

  // `systemctl restart`. Returns how long it took from SIGTERM to READY=1. Throws as the constructor.
  std::chrono::nanoseconds restart();
  // `systemctl stop`: returns the exit code and drops what is stored.
  int stop();
  // `systemctl start`.
  void start();
  // SIGKILL, and the restart by Restart=on-failure. Returns how long it took. Throws as the constructor.
  std::chrono::nanoseconds kill_9();
  // How many processes were started.
  int starts() const { return starts_; }

 private:
  void start_until_ready();
  void launch();
  bool is_ready();

  DaemonProcess files_;
  ServiceManager manager_;
  std::vector<UniqueFd> sockets_;
  Command command_;
  int failing_starts_ = 0;
  int starts_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace hostcall::test
