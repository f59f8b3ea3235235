// KeptProgram: a program that a keeper has started, as the runner sees it.
#pragma once

#include <functional>
#include <optional>

#include "daemon/loop/reactor.h"
#include "daemon/runner/keeper.h"
#include "daemon/runner/program_host.h"

namespace hostcall::daemon {

class KeptProgram final : public HostedProgram, public IoHandler, public TurnEnd {
 public:
  // `on_lost`: the keeper has gone before its program.
  KeptProgram(Reactor& reactor, std::string service, HostObserver& observer, std::function<void()> on_lost);
  // The keeper ends the program when its socket closes.
  ~KeptProgram() override;
  // Failures are reported in the next turn.
  std::optional<pid_t> start(const KeptCommand& command);

  void send_signal(int signal) override;
  void kill() override;
  void on_io(std::uint32_t events) override;
  void on_turn_end() override;

 private:
  void give(KeeperOrder order) const;
  void on_report(const KeeperReport& report);
  void on_not_started(const KeeperReport& report);
  void finish(const std::function<void()>& tell);

  Reactor& reactor_;
  std::string service_;
  HostObserver& observer_;
  std::function<void()> on_lost_;
  UniqueFd socket_;
  std::string path_;  // of the program
  wire::Status failed_;
};

}  // namespace hostcall::daemon
