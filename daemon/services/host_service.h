// hostcall.v1.Host: facts about the host; see proto/hostcall/v1/host.proto.
#pragma once

#include <string>

#include "daemon/calls/router.h"

namespace hostcall::daemon {

struct HostServiceOptions {
  TimePoint daemon_started;
  std::string root;  // prefix of /proc and /etc; set only by tests
};

void register_host_service(Router& router, HostServiceOptions options);

}  // namespace hostcall::daemon
