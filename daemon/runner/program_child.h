// What happens between vfork and exec of a program in --direct.
#pragma once

#include <vector>

#include "daemon/runner/keeper.h"

namespace hostcall::daemon {

// Why the child could not become the program. The child shares the keeper's memory until then; volatile, because no
// compiler sees it write there.
struct ChildFailure {
  volatile KeeperReport::Step step = KeeperReport::Step::kExec;
  volatile int code = 0;  // errno; 0: it could
};

// All that the child needs, made before: it may not allocate.
struct ChildCommand {
  explicit ChildCommand(const KeptCommand& command);

  std::vector<char*> argv, environment;
  const char* directory;
  std::array<int, 3> descriptors;
};

[[noreturn]] void become_program(const ChildCommand& command, ChildFailure& failure);

}  // namespace hostcall::daemon
