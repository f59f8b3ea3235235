// hostcall.v1.Diagnostics: generates traffic on request; see proto/hostcall/v1/diagnostics.proto.
#pragma once

#include "daemon/calls/router.h"
#include "daemon/loop/reactor.h"

namespace hostcall::daemon {

void register_diagnostics_service(Router& router, Reactor& reactor);

}  // namespace hostcall::daemon
