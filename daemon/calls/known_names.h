// What is known of this host, for warnings about rules and services.
#pragma once

#include "daemon/calls/router.h"
#include "daemon/config/policy_warnings.h"
#include "daemon/config/service_warnings.h"
#include "daemon/vms/registry.h"

namespace hostcall::daemon {

// The methods, and the VMs that are registered.
inline KnownNames known_names(const Router& router, const Registry& registry) {
  KnownNames known;
  known.methods = router.known_methods();
  for (const auto& [name, vm] : registry.all()) known.add(vm->record);
  return known;
}

// How programs are started, and hostcalld's own sockets.
inline ServiceHost service_host(const Config& config, const Registry& registry) {
  ServiceHost host;
  host.add(config);
  for (const auto& [name, vm] : registry.all()) host.add(vm->record);
  return host;
}

}  // namespace hostcall::daemon
