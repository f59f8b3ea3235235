// hostcall.v1.Session: the caller's own session; see proto/hostcall/v1/session.proto.
#pragma once

#include "daemon/calls/router.h"
#include "daemon/calls/service_catalog.h"
#include "daemon/store/engine.h"

namespace hostcall::daemon {

// The engine must outlive the router.
void register_session_service(Router& router, const store::Engine& engine, const ServiceCatalog& catalog);

}  // namespace hostcall::daemon
