// RunnerLink: hostcalld's side of the connection to hostcall-runner. Opens it when something is asked for, and closes
// it when nothing has been for a while: the runner ends with its connection.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/loop/reactor.h"
#include "daemon/runner/packet_channel.h"
#include "daemon/services/runner.h"
#include "daemon/services/runner_child.h"
#include "runner/runner.pb.h"

namespace hostcall::daemon {

struct RunnerLinkOptions {
  // The runner's socket, which systemd listens on. Empty: hostcalld starts the program itself, with --direct.
  std::string socket_path;
  std::string program;                // hostcall-runner
  std::vector<std::string> services;  // directories, for --direct
};

class RunnerLink final : public Runner, public PacketChannelObserver, public TurnEnd {
 public:
  RunnerLink(Reactor& reactor, RunnerLinkOptions options);
  // No RunningProgram or Connecting may be left.
  ~RunnerLink() override;

  std::unique_ptr<RunningProgram> start(const ServiceRecord& service, const RunnerCaller& caller,
                                        const std::vector<std::string>& arguments, std::array<UniqueFd, 3> descriptors,
                                        ProgramObserver& observer) override;
  std::unique_ptr<Connecting> connect(const ServiceRecord& service, const RunnerCaller& caller,
                                      ConnectObserver& observer) override;

  bool is_portable() const override { return channel_ == nullptr || channel_->unsent() == 0; }
  std::unique_ptr<RunningProgram> resume(const handover::Program& place, ProgramObserver& observer) override;
  // The connection, from one daemon to the next.
  void hand_over(handover::Runner& out, Outgoing& parcel) const;
  bool is_open() const { return channel_ != nullptr; }
  void take_up(const handover::Runner& in, UniqueFd socket);

  // The runner that hostcalld has started, while it runs; for tests.
  std::optional<pid_t> child() const;

  void on_packet(ReceivedPacket packet) override;
  void on_channel_closed(const std::string& why) override;
  void on_turn_end() override;

 private:
  class Asked;
  class Program;
  class Attempt;

  // Sends the request of a new Asked, or lets it fail at the end of the turn.
  void ask(Asked& asked, runner::Request request, std::vector<UniqueFd> descriptors);
  wire::Status send(runner::Request request, std::vector<UniqueFd> descriptors);
  void tell_signal(std::uint64_t id, int number);
  void forget(std::uint64_t id);
  void cancel(std::uint64_t id);
  Done open();
  Result<UniqueFd> spawn();
  void on_reply(const runner::Reply& reply, std::vector<UniqueFd> descriptors);
  void close_if_idle();

  Reactor& reactor_;
  RunnerLinkOptions options_;
  std::unique_ptr<PacketChannel> channel_;
  std::vector<std::unique_ptr<RunnerChild>> children_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, Asked*> asked_;            // that have not been answered
  std::map<std::uint64_t, wire::Status> not_asked_;  // of them, those that fail at the end of the turn
  Timer idle_timer_{reactor_, Callback::to<&RunnerLink::close_if_idle>(this)};
};

}  // namespace hostcall::daemon
