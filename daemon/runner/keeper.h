// The keeper: a process that starts one program and stays until the program and all that it has started are gone. It is
// the subreaper of these, so a process that leaves its parents and its session behind is still found. It ends them when
// it is told to, when the program itself has ended, and when the runner is gone.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon {

// From the keeper, one in a packet.
struct KeeperReport {
  enum class Kind : std::int32_t {
    kRunning,     // `value`: its pid
    kNotStarted,  // `step` has failed with this errno; nothing follows
    kEnded,       // `value`: the exit code
    kKilled,      // `value`: the signal
  };
  enum class Step : std::int32_t { kFork, kDirectory, kDescriptors, kExec };
  Kind kind = Kind::kRunning;
  std::int32_t value = 0;
  Step step = Step::kFork;
};

// To the keeper, one in a packet: a signal for the program's main process, or kKeeperKills.
using KeeperOrder = std::int32_t;
inline constexpr KeeperOrder kKeeperKills = 0;

struct KeptCommand {
  std::vector<std::string> command;
  std::vector<std::string> environment;
  std::string directory;
  std::array<UniqueFd, 3> descriptors;  // above 2
};

struct Keeper {
  pid_t pid = -1;  // a child of this process
  UniqueFd socket;
};
// Forks the keeper. The process must have a single thread.
Result<Keeper> start_keeper(const KeptCommand& command);

}  // namespace hostcall::daemon
