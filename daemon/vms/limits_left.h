// A VM's limits and how much is left of each, for the guest and the operator.
#pragma once

#include <cstdint>
#include <vector>

#include "daemon/store/record.h"
#include "daemon/vms/registry.h"

namespace hostcall::daemon {

struct LimitLeft {
  const LimitInfo& info;
  std::uint64_t limit;
  std::uint64_t left;  // the whole limit if nothing uses it
};

// Sorted by name. `stored`: the VM's usage of the store.
std::vector<LimitLeft> limits_left(const Vm& vm, const store::Usage& stored, TimePoint now);

}  // namespace hostcall::daemon
