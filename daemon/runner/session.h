// RunnerSession: one connection from hostcalld: its requests, and the programs that it has ordered.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "daemon/loop/reactor.h"
#include "daemon/runner/packet_channel.h"
#include "daemon/runner/program_host.h"
#include "daemon/runner/running.h"
#include "daemon/runner/service_cache.h"

namespace hostcall::daemon {

class RunnerSession final : public PacketChannelObserver, public TurnEnd {
 public:
  // Of the end: empty if hostcalld has closed the connection; otherwise what it did wrong.
  using OnEnd = std::function<void(const std::string& why)>;

  // Takes over the connection. `on_end`: it has closed, and all that it has ordered is gone; may retire the session.
  // Throws std::runtime_error if the kernel has no room.
  RunnerSession(Reactor& reactor, UniqueFd socket, ServiceCache& services, ProgramHost& host, Running& running,
                OnEnd on_end);
  ~RunnerSession() override;

  // Closes the connection; see on_end.
  void end() { on_channel_closed({}); }

  void on_packet(ReceivedPacket packet) override;
  void on_channel_closed(const std::string& why) override;
  void on_turn_end() override;

 private:
  class Program;
  class Attempt;

  void obey(const runner::Request& request, std::vector<UniqueFd> descriptors);
  void start(std::uint64_t id, const runner::Start& start, std::vector<UniqueFd> descriptors);
  void connect(std::uint64_t id, const runner::Connect& connect);
  void signal(std::uint64_t id, int number);
  void cancel(std::uint64_t id);
  void reply(runner::Reply reply, std::uint64_t id, UniqueFd descriptor = {});
  void fail(std::uint64_t id, const wire::Status& status);
  void remove(Program& program);
  void remove(Attempt& attempt);
  void forget(Attempt& attempt);
  void end_if_empty();
  void on_give_up();

  Reactor& reactor_;
  PacketChannel channel_;
  ServiceCache& services_;
  ProgramHost& host_;
  Running& running_;
  OnEnd on_end_;
  std::string why_;
  Timer give_up_{reactor_, Callback::to<&RunnerSession::on_give_up>(this)};
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Program>> programs_;
  std::map<std::uint64_t, std::unique_ptr<Attempt>> attempts_;
};

}  // namespace hostcall::daemon
