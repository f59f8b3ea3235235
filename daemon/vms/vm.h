// Vm: a registered VM.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/config/vm_record.h"
#include "daemon/loop/work.h"
#include "daemon/vms/policy_state.h"
#include "daemon/vms/quota.h"
#include "daemon/vms/vm_rates.h"

namespace hostcall::daemon {

// A registered VM. Its sessions share it and briefly outlive its removal.
struct Vm {
  Vm(VmRecord vm_record, std::string vm_origin, std::uint64_t number, const Limits& limits);

  // What counts anew is started full; what stays the same is left alone.
  void set_limits(const Limits& limits);
  bool from_file() const { return origin != kRunTime && origin != kPersistent; }

  static constexpr std::string_view kRunTime = "run time";
  static constexpr std::string_view kPersistent = "run time, persistent";

  VmRecord record;                   // only Registry::change() changes it: tags and limits
  std::string socket_key;            // which socket its path names (config/socket_keys), as last looked up
  std::string origin;                // "file:line", kRunTime or kPersistent
  const std::uint64_t registration;  // microseconds from the host's boot to it; every one is higher
  std::string boot_id;               // from the latest Hello; empty: none yet
  Quota quota;
  TokenBucket connect_rate;
  TokenBucket store_write_rate;
  PolicyState policy;
  Share share;           // of the reactor's turns
  bool removed = false;  // no longer in the registry
  VmCounts counts;
  VmRates rates;
};
using VmRef = std::shared_ptr<Vm>;

}  // namespace hostcall::daemon
