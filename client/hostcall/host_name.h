// How a verb calls the host in what it prints.
#pragma once

#include <string>

#include "client/cli/invocation.h"

namespace hostcall::cli::guest {

// The host's name where policy lets us ask, else its address; fit for a terminal.
std::string host_name(Invocation& invocation);

}  // namespace hostcall::cli::guest
