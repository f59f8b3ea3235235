// PumpedCall: a call that carries bytes between descriptors of this program and the host. Its owner waits for the
// client and for the call's events, and lets it proceed: pump.h on standard input and output, forwarder.h on sockets.
#pragma once

#include <hostcall/client.h>
#include <poll.h>

#include <span>
#include <vector>

#include "client/cli/exit_code.h"
#include "client/cli/pieces.h"
#include "proto/base/result.h"

namespace hostcall::cli::guest {

class PumpedCall {
 public:
  PumpedCall() = default;
  PumpedCall(const PumpedCall&) = delete;
  PumpedCall& operator=(const PumpedCall&) = delete;
  virtual ~PumpedCall() = default;

  // How many events add_events() adds.
  static constexpr std::size_t kMaxEvents = 3;
  // What to wait for besides the client. Nothing is read before is_open().
  virtual void add_events(std::vector<pollfd>& events) const = 0;
  // Does all that can be done without waiting. `events`: those of add_events(), after waiting. `buffer` is scratch
  // memory of kPieceBytes. Error: a descriptor failed; EPIPE: a reader has gone. The owner then ends the call.
  virtual Done proceed(std::span<const pollfd> events, std::span<char> buffer) = 0;

  // The host has taken the call.
  virtual bool is_open() const = 0;
  // The call has ended, and all that came is written.
  virtual bool ended() const = 0;
  // How it ended.
  virtual Status status() = 0;
};

// Calls of services.d's services fail in their own ways: no such service is exit code 127, arguments that the service
// does not take are 126, and nothing is 1 or 2, which can be a program's own.
Failure service_failure(const Status& status);
// Throws Failure: usage, if it can't be a service's name.
void check_service_name(const std::string& name);

}  // namespace hostcall::cli::guest
