// LifetimeObserver: who has things that go with a session or a boot of a VM. The server tells it, and nobody else.
#pragma once

#include <cstdint>

#include "daemon/vms/registry.h"

namespace hostcall::daemon {

class LifetimeObserver {
 public:
  virtual void session_ended(std::uint64_t session_id) = 0;
  // The VM has booted, its boot_id is the new one: what belongs to its earlier boots is over. Also told of the first
  // boot that this daemon hears of, since others may have been before it started.
  virtual void boot_began(const Vm& vm) = 0;

 protected:
  ~LifetimeObserver() = default;
};

}  // namespace hostcall::daemon
