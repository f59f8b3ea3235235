// Connector: connects to the socket of a service as this process's user, without waiting.
#pragma once

#include "daemon/config/service_record.h"
#include "daemon/loop/reactor.h"
#include "daemon/runner/program_host.h"
#include "proto/base/unique_fd.h"
#include "proto/wire/status.h"

namespace hostcall::daemon {

class Connector final : public ConnectionAttempt, public IoHandler {
 public:
  // The observer is told in a later turn.
  Connector(Reactor& reactor, const std::string& service, const SocketService& socket, AttemptObserver& observer);
  ~Connector() override { (void)stop(); }

  bool stop() override;

  void on_io(std::uint32_t events) override;

 private:
  void try_now();
  void on_timer();
  void finish(int error);

  Reactor& reactor_;
  const std::string service_;
  const SocketService address_;
  AttemptObserver& observer_;
  const TimePoint deadline_;
  UniqueFd socket_;
  Timer timer_{reactor_, Callback::to<&Connector::on_timer>(this)};
};

}  // namespace hostcall::daemon
