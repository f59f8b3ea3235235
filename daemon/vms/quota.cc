#include "daemon/vms/quota.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include "proto/base/try_write.h"

namespace hostcall::daemon {
namespace {

constexpr std::array<const char*, kResources> kNames = {"connections", "streams", "memory_bytes", "outbound_bytes",
                                                        "store_watches"};

// Tolerance for rounding errors in the count of tokens.
constexpr double kRounding = 1e-9;

}  // namespace

Quota::~Quota() {
  for (std::size_t i = 0; i < kResources; ++i)
    if (used_[i] != 0) die("charged at the end of the quota", static_cast<Resource>(i), used_[i]);
}

void Quota::die(const char* what, Resource resource, std::uint64_t amount) {
  try_to_say(std::string("hostcalld: bug in the accounting of ") + kNames[static_cast<std::size_t>(resource)] + ": " +
             what + " (" + std::to_string(amount) + ")\n");
  std::abort();
}

void Quota::set_limits(const Limits& limits) {
  limits_ = limits;
  bounds_ = {limits.connections, limits.streams, limits.memory_bytes, limits.outbound_bytes, limits.store_watches};
  // What they wait for comes from the old limits. They ask again.
  LinkedList<RoomWaiter> all;
  all.append(waiting_);
  while (auto* waiter = all.pop_front()) waiter->has_room();
}

void Quota::wait_for_room(RoomWaiter& waiter, std::uint64_t outbound_bytes) {
  waiter.needed_ = waiter.is_linked() ? std::min(waiter.needed_, outbound_bytes) : outbound_bytes;
  waiting_.push_back(waiter);
}

void Quota::wake_waiting() {
  LinkedList<RoomWaiter> all;
  all.append(waiting_);
  while (auto* waiter = all.pop_front()) {
    if (waiter->needed_ <= left(Resource::kOutbound))
      waiter->has_room();
    else
      waiting_.push_back(*waiter);
  }
}

Charge& Charge::operator=(Charge&& other) noexcept {
  if (this == &other) return *this;
  reset();
  quota_ = other.quota_;
  resource_ = other.resource_;
  amount_ = std::exchange(other.amount_, 0);
  return *this;
}

double TokenBucket::left(TimePoint now) const {
  const std::chrono::duration<double> since = now - last_;
  return std::min(burst_, tokens_ + std::max(0.0, since.count()) * rate_);
}

Duration TokenBucket::wait_for(TimePoint now, double amount) const {
  const double there = left(now);
  if (there >= amount - kRounding) return Duration::zero();
  if (!can_hold(amount)) return Duration::max();
  // Rounded up, so that a caller who waits that long is served.
  const double wait = std::ceil((amount - there) / rate_ * static_cast<double>(Duration::period::den));
  return wait < static_cast<double>(Duration::max().count()) ? Duration(static_cast<Duration::rep>(wait))
                                                             : Duration::max();
}

Duration TokenBucket::take(TimePoint now, double amount) {
  const auto wait = wait_for(now, amount);
  if (wait != Duration::zero()) return wait;
  tokens_ = std::max(0.0, left(now) - amount);
  last_ = std::max(last_, now);
  return wait;
}

}  // namespace hostcall::daemon
