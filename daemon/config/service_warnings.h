// Warnings about services that are valid, but whose programs can't be started, or not be trusted.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/service_file.h"

namespace hostcall::daemon {

// One line each, "FILE:LINE: …", in the order of the names. Looks at files and asks for users, which may take long.
std::vector<std::string> service_warnings(const Services& services);

}  // namespace hostcall::daemon
