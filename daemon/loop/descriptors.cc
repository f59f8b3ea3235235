#include "daemon/loop/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

namespace hostcall::daemon {
namespace {

constexpr std::size_t kLeastReserve = 8;
constexpr std::size_t kMostReserve = 64;
constexpr std::size_t kMostRefusedPerCaller = 64;

// What every Linux process has unless somebody says otherwise.
constexpr std::size_t kUsualLimit = 1024;

std::size_t current_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : kUsualLimit;
}

}  // namespace

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

DescriptorShares::DescriptorShares() : DescriptorShares(current_limit()) {}

DescriptorShares::DescriptorShares(std::size_t limit)
    : limit_(limit), reserve_(std::clamp(limit / 16, kLeastReserve, kMostReserve)) {}

std::size_t DescriptorShares::refused_per_caller() const {
  return std::clamp<std::size_t>(limit_ / 64, 1, kMostRefusedPerCaller);
}

}  // namespace hostcall::daemon
