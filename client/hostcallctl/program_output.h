// Another program's output, for a doctor.
#pragma once

#include <string>
#include <vector>

#include "proto/base/clock.h"
#include "proto/base/result.h"

namespace hostcall::cli::host {

// Runs argv[0] of the PATH with no input and returns its standard output. Errors: it can not be started, it fails, or
// it does not end before the deadline; it is killed then.
Result<std::string> program_output(const std::vector<std::string>& argv, TimePoint deadline);

}  // namespace hostcall::cli::host
