// LifetimeObserver: owns things that live as long as a session or a boot of a VM. Only the server calls it.
#pragma once

#include <cstdint>

#include "daemon/vms/registry.h"

namespace hostcall::daemon {

class LifetimeObserver {
 public:
  virtual void session_ended(std::uint64_t session_id) = 0;
  // The VM has booted and has its new boot_id: everything of its earlier boots ends. Also called for the first boot
  // that this daemon learns of, because there may have been others before it started.
  virtual void boot_began(const Vm& vm) = 0;

 protected:
  ~LifetimeObserver() = default;
};

}  // namespace hostcall::daemon
