// hostcall.v1.Store: the keys of VMs; see proto/hostcall/v1/store.proto.
#pragma once

#include "daemon/calls/router.h"
#include "daemon/loop/reactor.h"
#include "daemon/store/engine.h"

namespace hostcall::daemon {

// All must outlive the router.
void register_store_service(Router& router, store::Engine& engine, Reactor& reactor);

}  // namespace hostcall::daemon
