// HostConnector: makes the connection to the socket of a service: by itself, or by the runner where hostcalld may not.
#pragma once

#include <memory>

#include "daemon/services/host_call.h"
#include "daemon/services/runner.h"
#include "proto/base/result.h"

namespace hostcall::daemon {

// Connects to the Unix socket of a service as hostcalld itself: at once, or not at all. EAGAIN: its backlog is full.
Result<UniqueFd> connect_to_host(const std::string& unix_path, pid_t own_pid);

class HostConnector final : private ConnectObserver {
 public:
  // How long a listener's backlog may be full.
  static constexpr Duration kLimit = seconds(5);

  // Tells the observer the outcome, never from within this. The observer, the service and the environment's objects
  // must outlive this.
  HostConnector(const HostCallEnvironment& environment, const ServiceRecord& service, const Caller& caller,
                ConnectObserver& observer);

 private:
  void try_once();
  void on_connected(UniqueFd socket) override;
  void on_connect_failed(const wire::Status& status) override { observer_.on_connect_failed(status); }

  Reactor& reactor_;
  const ServiceRecord& service_;
  ConnectObserver& observer_;
  const pid_t own_pid_;
  Timer timer_;
  const TimePoint until_;
  std::unique_ptr<Connecting> by_runner_;
};

}  // namespace hostcall::daemon
