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
  wake_waiting();
}

void Quota::wait_for_room(RoomWaiter& waiter, std::uint64_t message_bytes, Place place) {
  waiter.message_bytes_ = message_bytes;
  if (std::exchange(waiter.quota_, this) == nullptr)
    place == Place::kFirst ? waiting_.push_front(waiter) : waiting_.push_back(waiter);
  wake_waiting();
}

// From the first to one that does not fit, however many wait.
void Quota::wake_waiting() {
  while (auto* waiter = waiting_.front()) {
    const auto bytes = waiter->message_bytes_;
    if (!never_fits(bytes)) {
      if (!fits_now(bytes)) return;
      waiter->room_ = Charge(*this, Resource::kOutbound);
      waiter->room_.set(bytes + 1);  // a message of no bytes has room, too
    }
    waiter->forget_waiting();
    waiter->on_room();
  }
}

void RoomWaiter::stop_waiting() {
  unlink();
  if (auto* quota = std::exchange(quota_, nullptr)) quota->wake_waiting();
  give_up_room();
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
