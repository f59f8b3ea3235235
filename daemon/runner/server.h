// RunnerServer: the socket that systemd listens on for the runner. Only hostcalld's user gets a connection, whatever
// the mode of the socket's file says: members of its group administer hostcall, but start no programs.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "daemon/loop/reactor.h"
#include "daemon/runner/running.h"
#include "daemon/runner/service_cache.h"
#include "daemon/runner/session.h"

namespace hostcall::daemon {

class RunnerServer final : public IoHandler {
 public:
  // Takes over a listening socket of packets. Throws. `on_idle`: no connection has been open for a while.
  RunnerServer(Reactor& reactor, UniqueFd listener, uid_t user, ServiceCache& services, ProgramHost& host,
               std::function<void()> on_idle);
  ~RunnerServer();

  // Refuses new connections and ends those that there are; on_idle follows.
  void end();
  std::size_t connections() const { return sessions_.size(); }
  void on_io(std::uint32_t events) override;

 private:
  // False: the kernel has no room to watch the socket.
  bool listen();
  void stop_listening();
  void pause();
  void on_pause_end();
  void open(UniqueFd connection);
  void close(std::uint64_t number, const std::string& why);
  void on_idle_timer();

  Reactor& reactor_;
  UniqueFd listener_;
  const uid_t user_;
  ServiceCache& services_;
  ProgramHost& host_;
  std::function<void()> on_idle_;
  Running running_;
  bool is_listening_ = false, is_ending_ = false;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, std::unique_ptr<RunnerSession>> sessions_;
  Timer pause_timer_{reactor_, Callback::to<&RunnerServer::on_pause_end>(this)};
  Timer idle_timer_{reactor_, Callback::to<&RunnerServer::on_idle_timer>(this)};
};

// The only socket that systemd has passed. Throws if there is none, or if it is no listening socket of packets.
UniqueFd inherited_listener();

}  // namespace hostcall::daemon
