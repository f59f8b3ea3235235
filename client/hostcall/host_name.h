// The host's name in a verb's output.
#pragma once

#include <string>

#include "client/cli/invocation.h"

namespace hostcall::cli::guest {

// The host's name if policy allows the question, else its address; safe for a terminal.
std::string host_name(Invocation& invocation);

}  // namespace hostcall::cli::guest
