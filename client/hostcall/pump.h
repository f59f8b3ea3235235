// Pump: carries a call on standard input and output from its opening to its end, or until a signal or the loss of the
// reader ends the run.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "client/cli/interrupt.h"
#include "client/cli/invocation.h"
#include "client/hostcall/pumped_call.h"

namespace hostcall::cli::guest {

class Pump {
 public:
  using Make = std::function<std::unique_ptr<PumpedCall>(const CallOptions& options)>;

  // From now on only a --timeout that was given bounds the run; without one, the opening has the time that other calls
  // have. `invocation` must outlive it.
  explicit Pump(Invocation& invocation);

  // Runs the call that `make` makes and returns how it ended. Makes another one as long as the host refuses it over a
  // limit that passes: nothing has been read by then. Throws Failure: it could not be opened, or input or output
  // failed; SignalEnd.
  Status run(const Make& make);

 private:
  std::unique_ptr<PumpedCall> open(const Make& make);
  // One round of the loop, without a call too.
  void turn(PumpedCall* call, TimePoint until);

  Invocation& invocation_;
  const TimePoint opens_until_;
  const Interrupt interrupt_{SIGINT, SIGTERM, SIGHUP};
  std::vector<pollfd> events_;
  std::vector<char> buffer_;
};

}  // namespace hostcall::cli::guest
