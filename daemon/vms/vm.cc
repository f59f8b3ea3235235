#include "daemon/vms/vm.h"

namespace hostcall::daemon {
namespace {

TokenBucket connect_bucket(const Limits& limits) {
  return {static_cast<double>(limits.connect_rate), static_cast<double>(limits.connect_burst)};
}

TokenBucket write_bucket(const Limits& limits) {
  return {static_cast<double>(limits.store_write_rate), static_cast<double>(limits.store_write_burst)};
}

}  // namespace

Vm::Vm(VmRecord vm_record, std::string vm_origin, std::uint64_t number, const Limits& limits)
    : record(std::move(vm_record)),
      origin(std::move(vm_origin)),
      registration(number),
      quota(limits),
      connect_rate(connect_bucket(limits)),
      store_write_rate(write_bucket(limits)) {}

void Vm::set_limits(const Limits& limits) {
  const auto& old = quota.limits();
  if (limits.connect_rate != old.connect_rate || limits.connect_burst != old.connect_burst)
    connect_rate = connect_bucket(limits);
  if (limits.store_write_rate != old.store_write_rate || limits.store_write_burst != old.store_write_burst)
    store_write_rate = write_bucket(limits);
  quota.set_limits(limits);
}

}  // namespace hostcall::daemon
