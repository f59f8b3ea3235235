// SystemdHost: starts programs in transient units of systemd, which gives them their users, limits and control groups.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "daemon/runner/bus.h"
#include "daemon/runner/program_host.h"
#include "daemon/runner/unit_message.h"

namespace hostcall::daemon {

class SystemdHost final : public ProgramHost {
 public:
  // `helper`: the path of hostcall-runner, which connects as other users.
  SystemdHost(Reactor& reactor, Bus& bus, std::string helper);

  // Refuses what D-Bus can't carry.
  wire::Status check(const ProgramOrder& order) override;
  // Refuses TCP, which is hostcall-connect's.
  wire::Status check(const ConnectOrder& order) override;
  std::unique_ptr<HostedProgram> start(ProgramOrder order, std::array<UniqueFd, 3> descriptors,
                                       HostObserver& observer) override;
  std::unique_ptr<ConnectionAttempt> connect(const ConnectOrder& order, AttemptObserver& observer) override;

 private:
  // For all units, and for as long as the bus lives; so must this.
  void receive(const char* signal, BusHandler handler);

  Reactor& reactor_;
  Bus& bus_;
  const std::string helper_;
  std::uint64_t number_;  // of the next unit
  BusSlot subscribed_;
};

}  // namespace hostcall::daemon
