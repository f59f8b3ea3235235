// The admin socket: its default path, and errors of users who may not open it.
#pragma once

#include "client/cli/invocation.h"

namespace hostcall::cli::host {

inline constexpr char kDefaultAdminSocket[] = "/run/hostcall/admin.sock";

// Turns "unreachable" into "denied" if the reason is that this user may not open the socket; says so if the socket is
// another.
Failure explain_access(Failure failure, const Common& common);

}  // namespace hostcall::cli::host
