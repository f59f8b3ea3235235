// Admin/Status: hostcalld in one message.
#pragma once

#include "daemon/services/admin_service.h"
#include "hostcall/v1/admin.pb.h"

namespace hostcall::daemon {

void fill_overview(const AdminParts& parts, v1::StatusResponse& response);

}  // namespace hostcall::daemon
