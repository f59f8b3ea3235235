// The methods of all services by their names, for those who have no router.
#pragma once

#include <vector>

#include "daemon/config/policy_warnings.h"

namespace hostcall::daemon {

std::vector<KnownNames::Method> all_methods();

}  // namespace hostcall::daemon
