// ProgramHost: how the runner starts programs: by systemd, or by itself where systemd does not run the machine.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "daemon/runner/order.h"
#include "proto/base/unique_fd.h"
#include "proto/wire/status.h"

namespace hostcall::daemon {

// Told of one program. May not destroy the HostedProgram, but retire it.
class HostObserver {
 public:
  // `unit`: its name for the operator.
  virtual void on_running(const std::string& unit) = 0;
  // It and all that it had started are gone; nothing follows.
  virtual void on_gone(const runner::Ended& end) = 0;
  // It was not started, or nobody knows how it ends; nothing follows.
  virtual void on_lost(const wire::Status& status) = 0;

 protected:
  ~HostObserver() = default;
};

// A program that has been ordered.
class HostedProgram {
 public:
  virtual ~HostedProgram() = default;
  // Sends a signal to its main process. No-op unless it runs.
  virtual void send_signal(int signal) = 0;
  // Ends it with all that it has started: SIGTERM, and SIGKILL after kTermTime. on_gone() follows.
  virtual void kill() = 0;
};

// Told of one connection attempt. May not destroy the attempt, but retire it.
class AttemptObserver {
 public:
  // One of these, unless it was stopped before. The socket is non-blocking.
  virtual void on_socket(UniqueFd socket) = 0;
  virtual void on_no_socket(const wire::Status& status) = 0;
  // After stop() said false: it is gone, with the process that it took; nothing follows.
  virtual void on_stopped() = 0;

 protected:
  ~AttemptObserver() = default;
};

class ConnectionAttempt {
 public:
  virtual ~ConnectionAttempt() = default;
  // Ends it; its outcome is not told any more. True: it is gone; false: on_stopped() follows.
  virtual bool stop() = 0;
};

class ProgramHost {
 public:
  virtual ~ProgramHost() = default;
  // Refuses what this way of starting can't do. Fit for a guest.
  virtual wire::Status check(const ProgramOrder& order) = 0;
  virtual wire::Status check(const ConnectOrder& order) = 0;
  // The observers are never called from within these.
  virtual std::unique_ptr<HostedProgram> start(ProgramOrder order, std::array<UniqueFd, 3> descriptors,
                                               HostObserver& observer) = 0;
  virtual std::unique_ptr<ConnectionAttempt> connect(const ConnectOrder& order, AttemptObserver& observer) = 0;
};

// From SIGTERM to SIGKILL.
inline constexpr seconds kTermTime{2};
// For one connection attempt.
inline constexpr seconds kConnectTime{5};

}  // namespace hostcall::daemon
