// TcpHost: connects to the TCP sockets of services, and does nothing else. For hostcall-connect, whose sandbox has the
// network that hostcall-runner and hostcalld lack.
#pragma once

#include <memory>

#include "daemon/loop/reactor.h"
#include "daemon/runner/program_host.h"

namespace hostcall::daemon {

class TcpHost final : public ProgramHost {
 public:
  explicit TcpHost(Reactor& reactor) : reactor_(reactor) {}

  wire::Status check(const ProgramOrder& order) override;
  wire::Status check(const ConnectOrder& order) override;
  // Never called, because check() refuses all.
  std::unique_ptr<HostedProgram> start(ProgramOrder order, std::array<UniqueFd, 3> descriptors,
                                       HostObserver& observer) override;
  std::unique_ptr<ConnectionAttempt> connect(const ConnectOrder& order, AttemptObserver& observer) override;

 private:
  Reactor& reactor_;
};

}  // namespace hostcall::daemon
