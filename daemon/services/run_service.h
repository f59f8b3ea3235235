// hostcall.v1.Run: the programs of services.d.
#pragma once

#include "daemon/calls/router.h"
#include "daemon/services/host_call.h"

namespace hostcall::daemon {

// The environment's objects must outlive the router.
void register_run_service(Router& router, const HostCallEnvironment& environment);

}  // namespace hostcall::daemon
