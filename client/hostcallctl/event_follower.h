// EventFollower: events of hostcalld as they come, also over restarts of the daemon, until Ctrl-C or the deadline.
#pragma once

#include <optional>

#include "client/cli/interrupt.h"
#include "client/cli/invocation.h"
#include "hostcall/v1/admin.hostcall.h"

namespace hostcall::cli::host {

class EventFollower {
 public:
  // `invocation` must outlive it.
  EventFollower(Invocation& invocation, v1::EventsRequest request);

  // Waits for the next message. Nothing: these were all, if the request does not follow. Throws SignalEnd: Ctrl-C,
  // SIGTERM or SIGHUP came, or the reader has gone; Failure: the deadline passed, or the daemon refuses.
  const v1::EventsResponse* next();

 private:
  void open();
  // False: the end is as it should be.
  bool ended();
  void wait(TimePoint until);

  Invocation& invocation_;
  v1::EventsRequest request_;
  const Interrupt interrupt_{SIGINT, SIGTERM, SIGHUP};
  std::optional<Stream<v1::Admin::Events>> stream_;
  v1::EventsResponse message_;
  bool has_been_read_ = false;  // a message has come
};

}  // namespace hostcall::cli::host
