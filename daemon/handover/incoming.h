// Incoming: what an earlier daemon has handed over, read and taken apart.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "handover/state.pb.h"
#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon {

class Incoming {
 public:
  // Reads the records. An error: they can't be read; then nothing of them counts.
  static Result<Incoming> read(std::string_view state, std::vector<UniqueFd> descriptors);

  // Takes the descriptor at this place. Nothing: there is none, or somebody has taken it.
  UniqueFd take(std::uint32_t place);

  handover::Daemon daemon;
  std::vector<handover::Listener> listeners;
  std::vector<handover::Vm> vms;
  std::vector<handover::Connection> connections;
  std::vector<handover::Runner> runners;
  std::vector<handover::ServiceStarts> service_starts;

 private:
  std::vector<UniqueFd> descriptors_;
};

}  // namespace hostcall::daemon
