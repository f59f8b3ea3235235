// hostcall.v1.Store: the keys of VMs; see proto/hostcall/v1/store.proto.
#pragma once

#include "daemon/reactor.h"
#include "daemon/router.h"
#include "daemon/store/engine.h"

namespace hostcall::daemon {

// All must outlive the router.
void register_store_service(Router& router, store::Engine& engine, Reactor& reactor);

}  // namespace hostcall::daemon
