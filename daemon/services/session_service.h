// hostcall.v1.Session: the caller's own session; see proto/hostcall/v1/session.proto.
#pragma once

#include "daemon/router.h"

namespace hostcall::daemon {

void register_session_service(Router& router);

}  // namespace hostcall::daemon
