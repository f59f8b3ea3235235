// What policy rules can name, for warnings about them.
#pragma once

#include "daemon/calls/router.h"
#include "daemon/config/policy_warnings.h"
#include "daemon/vms/registry.h"

namespace hostcall::daemon {

// The methods, and the VMs that are registered.
inline KnownNames known_names(const Router& router, const Registry& registry) {
  KnownNames known;
  known.methods = router.known_methods();
  for (const auto& [name, vm] : registry.all()) known.add(vm->record);
  return known;
}

}  // namespace hostcall::daemon
