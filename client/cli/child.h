// Children: other programs that a verb starts.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <map>
#include <optional>
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
  // In a process group of its own, so that a signal reaches it and all that it starts, and not us.
  bool own_group = false;
};

// Starts argv[0] of the PATH, with no signal blocked. The caller reaps it.
Result<pid_t> start_child(const std::vector<std::string>& argv, const ChildOptions& options);

// Waits for its end. The error is how it failed: "exit code 7", "signal 9".
Done reap_child(pid_t pid);
// The same without waiting, for a child with its own group; nothing: it still runs. One that has stopped to wait for
// the terminal, which such a group does not get, is killed with its group: it would wait for ever.
std::optional<Done> try_reap_child(pid_t pid);

}  // namespace hostcall::cli
