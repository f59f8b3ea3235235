// The admin socket: where it is, and who may use it.
#pragma once

#include "client/cli/invocation.h"

namespace hostcall::cli::host {

inline constexpr char kDefaultAdminSocket[] = "/run/hostcall/admin.sock";

// Turns "not reached" into "denied" where the reason is that this user may not open the socket.
Failure explain_access(Failure failure, const Common& common);

}  // namespace hostcall::cli::host
