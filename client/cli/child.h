// Children: other programs that a verb starts.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "proto/base/result.h"

namespace hostcall::cli {

struct ChildOptions {
  // Descriptors of ours that become its 0, 1 and 2.
  int input = STDIN_FILENO;
  int output = STDOUT_FILENO;
  int errors = STDERR_FILENO;
  // On top of our variables.
  std::map<std::string, std::string> environment;
};

// Starts argv[0] of the PATH, with no signal blocked. The caller reaps it.
Result<pid_t> start_child(const std::vector<std::string>& argv, const ChildOptions& options);

// Waits for its end. The error is how it failed: "exit code 7", "signal 9".
Done reap_child(pid_t pid);

}  // namespace hostcall::cli
