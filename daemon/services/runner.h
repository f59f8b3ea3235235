// Runner: what hostcalld asks of hostcall-runner, the small program that starts the programs of services.d and connects
// to sockets that hostcalld itself may not reach. Runs on the reactor; nothing here waits.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "daemon/config/service_record.h"
#include "daemon/handover/forward.h"
#include "daemon/vms/caller.h"
#include "proto/base/unique_fd.h"
#include "proto/wire/status.h"

namespace hostcall::daemon {

// On whose behalf something is started or connected to.
struct RunnerCaller {
  std::string vm;
  std::string uuid;  // empty: none
};

inline RunnerCaller runner_caller_of(const Caller& caller) {
  return {.vm = caller.name(), .uuid = caller.vm ? caller.vm->record.uuid : std::string()};
}

// How a program has ended.
struct ProgramEnd {
  int exit_code = 0;   // if it has exited
  int signal = 0;      // that has killed it; 0: it has exited
  std::string reason;  // why the host has ended it; empty: it ended by itself
};

// Told of one program. May destroy the RunningProgram from within each function.
class ProgramObserver {
 public:
  // The program runs. `unit`: its name for the operator, such as "hostcall-run-backup-web1-7.service" or "pid 4711".
  virtual void on_started(const std::string& unit) = 0;
  // It has ended; nothing follows.
  virtual void on_ended(const ProgramEnd& end) = 0;
  // It was not started, or nobody knows how it ends (UNAVAILABLE); nothing follows.
  virtual void on_failed(const wire::Status& status) = 0;

 protected:
  ~ProgramObserver() = default;
};

// A program that has been asked for. The destructor kills it, with all that it has started, unless it has ended.
class RunningProgram {
 public:
  virtual ~RunningProgram() = default;
  // Sends a signal to its main process. No-op until it runs.
  virtual void send_signal(int signal) = 0;
  // For Runner::resume().
  virtual void tell(handover::Program&) const {}
};

class ConnectObserver {
 public:
  // The connected socket, non-blocking; or why there is none.
  virtual void on_connected(UniqueFd socket) = 0;
  virtual void on_connect_failed(const wire::Status& status) = 0;

 protected:
  ~ConnectObserver() = default;
};

// A connection that has been asked for. The destructor forgets it.
class Connecting {
 public:
  virtual ~Connecting() = default;
};

class Runner {
 public:
  // Starts the program of a service, which has one, with these descriptors as its standard input, output and error.
  // The observer must outlive the result, and is never called from within this. The arguments have been checked; the
  // runner checks them again, because it does not trust hostcalld.
  virtual std::unique_ptr<RunningProgram> start(const ServiceRecord& service, const RunnerCaller& caller,
                                                const std::vector<std::string>& arguments,
                                                std::array<UniqueFd, 3> descriptors, ProgramObserver& observer) = 0;
  // Connects to the socket of a service as its user, or by TCP.
  virtual std::unique_ptr<Connecting> connect(const ServiceRecord& service, const RunnerCaller& caller,
                                              ConnectObserver& observer) = 0;

  // Whether another daemon can go on with what was asked for: nothing waits to be sent.
  virtual bool is_portable() const { return false; }
  // Goes on with a program that another daemon has asked for. Null: that is not possible.
  virtual std::unique_ptr<RunningProgram> resume(const handover::Program&, ProgramObserver&) { return nullptr; }

 protected:
  ~Runner() = default;
};

}  // namespace hostcall::daemon
