// Another program's output.
#pragma once

#include <string>
#include <vector>

#include "proto/base/clock.h"
#include "proto/base/result.h"

namespace hostcall::cli::host {

// Runs argv[0] from the PATH without input and returns its standard output. Errors: it can't be started, it fails, or
// it does not end before the deadline and is killed.
Result<std::string> program_output(const std::vector<std::string>& argv, TimePoint deadline);

// The same with its standard error, where a program says why it fails: that is the error's text then.
Result<std::string> program_report(const std::vector<std::string>& argv, TimePoint deadline);

}  // namespace hostcall::cli::host
