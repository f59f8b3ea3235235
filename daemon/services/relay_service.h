// hostcall.v1.Relay: connections to the sockets of services.d.
#pragma once

#include "daemon/calls/router.h"
#include "daemon/services/host_call.h"

namespace hostcall::daemon {

// The environment's objects must outlive the router.
void register_relay_service(Router& router, const HostCallEnvironment& environment);

}  // namespace hostcall::daemon
