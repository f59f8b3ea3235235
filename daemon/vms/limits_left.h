// A VM's limits with what is left of each: for the guest, and for the operator.
#pragma once

#include <cstdint>
#include <vector>

#include "daemon/store/record.h"
#include "daemon/vms/registry.h"

namespace hostcall::daemon {

struct LimitLeft {
  const LimitInfo& info;
  std::uint64_t limit;
  std::uint64_t left;  // the whole limit where nothing uses it up
};

// Sorted by name. `stored`: what the VM has in the store.
std::vector<LimitLeft> limits_left(const Vm& vm, const store::Usage& stored, TimePoint now);

}  // namespace hostcall::daemon
