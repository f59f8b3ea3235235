// HostRunner: all that hostcalld asks of hostcall-runner, over the connections that there are for it: with systemd, one
// to hostcall-runner and one to hostcall-connect, which is for TCP; without, one to a runner that hostcalld starts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/services/runner_link.h"

namespace hostcall::daemon {

struct HostRunnerOptions {
  // Where systemd listens for the two: "/run/hostcall-runner". Empty: hostcalld starts `program` itself.
  std::string socket_directory;
  std::string program;
  std::vector<std::string> services;  // directories, for `program`
};

class HostRunner final : public Runner {
 public:
  HostRunner(Reactor& reactor, const HostRunnerOptions& options)
      : runner_(
            reactor,
            {.socket_path = socket(options, "runner.sock"), .program = options.program, .services = options.services}) {
    if (!options.socket_directory.empty())
      tcp_.emplace(reactor,
                   RunnerLinkOptions{.socket_path = socket(options, "connect.sock"), .program = {}, .services = {}});
  }

  std::unique_ptr<RunningProgram> start(const ServiceRecord& service, const RunnerCaller& caller,
                                        const std::vector<std::string>& arguments, std::array<UniqueFd, 3> descriptors,
                                        ProgramObserver& observer) override {
    return runner_.start(service, caller, arguments, std::move(descriptors), observer);
  }
  std::unique_ptr<Connecting> connect(const ServiceRecord& service, const RunnerCaller& caller,
                                      ConnectObserver& observer) override {
    const bool is_tcp = service.socket() != nullptr && service.socket()->unix_path.empty();
    return (is_tcp && tcp_ ? *tcp_ : runner_).connect(service, caller, observer);
  }

  bool is_portable() const override { return runner_.is_portable() && (!tcp_ || tcp_->is_portable()); }
  std::unique_ptr<RunningProgram> resume(const handover::Program& place, ProgramObserver& observer) override {
    return runner_.resume(place, observer);
  }
  // The connections, from one daemon to the next.
  void hand_over(Outgoing& parcel) const;
  void take_up(Incoming& incoming);

 private:
  static std::string socket(const HostRunnerOptions& options, const std::string& name) {
    return options.socket_directory.empty() ? "" : options.socket_directory + "/" + name;
  }

  RunnerLink runner_;
  std::optional<RunnerLink> tcp_;
};

}  // namespace hostcall::daemon
