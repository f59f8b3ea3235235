#include "daemon/vms/limits_left.h"

#include <algorithm>

namespace hostcall::daemon {
namespace {

std::uint64_t left_of(const Vm& vm, const store::Usage& stored, const LimitInfo& info, TimePoint now) {
  const auto limit = vm.quota.limits().*info.member;
  if (info.member == &Limits::connections) return vm.quota.left(Resource::kConnections);
  if (info.member == &Limits::streams) return vm.quota.left(Resource::kStreams);
  if (info.member == &Limits::memory_bytes) return vm.quota.left(Resource::kMemory);
  if (info.member == &Limits::outbound_bytes) return vm.quota.left(Resource::kOutbound);
  if (info.member == &Limits::connect_burst) return static_cast<std::uint64_t>(vm.connect_rate.left(now));
  if (info.member == &Limits::store_watches) return vm.quota.left(Resource::kWatches);
  if (info.member == &Limits::store_write_burst) return static_cast<std::uint64_t>(vm.store_write_rate.left(now));
  if (info.member == &Limits::store_keys) return limit - std::min(limit, stored.keys);
  if (info.member == &Limits::store_bytes) return limit - std::min(limit, stored.bytes);
  return limit;
}

}  // namespace

std::vector<LimitLeft> limits_left(const Vm& vm, const store::Usage& stored, TimePoint now) {
  std::vector<LimitLeft> limits;
  for (const auto& info : all_limits())
    limits.push_back({info, vm.quota.limits().*info.member, left_of(vm, stored, info, now)});
  return limits;
}

}  // namespace hostcall::daemon
