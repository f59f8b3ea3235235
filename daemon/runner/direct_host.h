// DirectHost: starts programs by itself, for hosts without systemd: tests, quickstart, containers. They run as the
// runner's own user, each below a keeper. Nothing but the user separates them from the runner and from hostcalld.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "daemon/loop/reactor.h"
#include "daemon/runner/program_host.h"

namespace hostcall::daemon {

class DirectHost final : public ProgramHost {
 public:
  explicit DirectHost(Reactor& reactor);

  // Refuses users other than its own, to run as root unless that is written, and properties of units.
  wire::Status check(const ProgramOrder& order) override;
  wire::Status check(const ConnectOrder& order) override;
  std::unique_ptr<HostedProgram> start(ProgramOrder order, std::array<UniqueFd, 3> descriptors,
                                       HostObserver& observer) override;
  std::unique_ptr<ConnectionAttempt> connect(const ConnectOrder& order, AttemptObserver& observer) override;

 private:
  void reap();
  void on_keeper_lost();

  Reactor& reactor_;
  std::set<pid_t> keepers_;
  Timer lost_timer_{reactor_, Callback::to<&DirectHost::on_keeper_lost>(this)};
};

}  // namespace hostcall::daemon
