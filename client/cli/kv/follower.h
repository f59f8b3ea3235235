// Follower: a watch that goes on over broken connections and restarts of the host, until Ctrl-C or the deadline.
#pragma once

#include <optional>

#include "client/cli/interrupt.h"
#include "client/cli/invocation.h"
#include "hostcall/v1/store.hostcall.h"

namespace hostcall::cli::kv {

class Follower {
 public:
  // Begins with the host's first answer to the request. `needs_reader`: whether the watch is in vain once nobody reads
  // standard output any more. `awaits_key`: it waits for the one key, not for changes. `invocation` must outlive it.
  Follower(Invocation& invocation, v1::WatchRequest request, bool needs_reader, bool awaits_key = false);

  // Waits for the next message; progress comes as one without events. Throws SignalEnd: Ctrl-C, SIGTERM or SIGHUP came,
  // or the reader has gone; Failure: the deadline passed, or the host ended the watch for good.
  const v1::WatchResponse& next();

  // Waits for a descriptor, or until then, and keeps the connection alive meanwhile. Throws SignalEnd.
  void wait(TimePoint until, int fd = -1);
  // Whether another signal has come, of those that end the watch.
  bool is_urged() const { return interrupt_.has_come(); }
  TimePoint deadline() const { return invocation_.deadline(); }

 private:
  using WatchStream = Stream<v1::Store::Watch>;

  void open();
  void ended();
  Failure failure_at_end(const Status& status);

  Invocation& invocation_;
  v1::WatchRequest request_;
  const bool needs_reader_;
  const bool awaits_key_;
  const Interrupt interrupt_{SIGINT, SIGTERM, SIGHUP};
  std::optional<WatchStream> stream_;
  v1::WatchResponse message_;
  bool has_changes_ = false;  // some were given
};

}  // namespace hostcall::cli::kv
