// `hostcall-runner --connect ADDRESS`: connects to one socket as whoever runs it, and sends it to its standard input.
#pragma once

#include <string>

namespace hostcall::daemon {

// Returns the exit code.
int run_connect_helper(const std::string& address);

}  // namespace hostcall::daemon
