// Follower: a watch that goes on over broken connections and restarts of the host, until Ctrl-C or the deadline.
#pragma once

#include <optional>

#include "client/cli/interrupt.h"
#include "client/cli/invocation.h"
#include "hostcall/v1/store.hostcall.h"

namespace hostcall::cli::kv {

class Follower {
 public:
  // Begins with the host's first answer to the request. `invocation` must outlive it.
  Follower(Invocation& invocation, v1::WatchRequest request);

  // Waits for the next message; progress comes as one without events. Nothing: Ctrl-C came. Throws Failure: the
  // deadline passed, or the host ended the watch for good.
  const v1::WatchResponse* next();

 private:
  using WatchStream = Stream<v1::Store::Watch>;

  void open();
  void wait(TimePoint until);
  void ended();

  Invocation& invocation_;
  v1::WatchRequest request_;
  Interrupt interrupt_;
  std::optional<WatchStream> stream_;
  v1::WatchResponse message_;
  bool interrupted_ = false;
};

}  // namespace hostcall::cli::kv
