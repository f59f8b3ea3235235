// Outgoing: collects what this daemon hands over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "handover/state.pb.h"

namespace hostcall::daemon {

class Outgoing {
 public:
  // Adds a descriptor, which stays its owner's. Returns its place.
  std::uint32_t add(int fd);
  void write(const handover::Record& record);

  const std::string& state() const { return state_; }
  const std::vector<int>& descriptors() const { return descriptors_; }

 private:
  std::string state_;
  std::vector<int> descriptors_;
};

}  // namespace hostcall::daemon
