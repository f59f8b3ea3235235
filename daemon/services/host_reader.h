// HostReader: reads a descriptor of the host straight into messages for the caller.
#pragma once

#include <cstddef>

#include "daemon/calls/call.h"
#include "daemon/loop/reactor.h"
#include "daemon/services/host_fd.h"
#include "proto/base/result.h"

namespace hostcall::daemon {

class HostReader {
 public:
  // What one read has found.
  struct Found {
    std::size_t bytes = 0;  // sent to the caller
    bool more = false;      // perhaps there are more at once
    bool end = false;       // there will be none
  };
  // `caller`: its limits say how large messages are.
  HostReader(Reactor& reactor, const Caller& caller);

  // The room that a message needs: ask Call::may_send() for it before read().
  std::size_t message_bytes() const;
  // Sends what one read gets as field `number` of a message that has only that one. Never from within a function that
  // the connection calls with received bytes: both use the reactor's buffer.
  Result<Found> read(const HostFd& fd, unsigned number, Call& call) const;

 private:
  Reactor& reactor_;
  const std::size_t chunk_bytes_;
};

}  // namespace hostcall::daemon
