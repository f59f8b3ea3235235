// Backoff: pauses between connection attempts, exponential with full jitter, so that the clients of a host that has
// just come back do not all connect at once.
#pragma once

#include <algorithm>
#include <random>

#include "proto/base/clock.h"

namespace hostcall::client {

class Backoff {
 public:
  Backoff(Duration base, Duration cap, std::uint64_t seed) : base_(base), cap_(cap), random_(seed) {}

  // Counts a failure and returns the pause after it: uniform between 0 and min(cap, base * 2^failures).
  Duration next() {
    constexpr unsigned kMaxShift = 30;  // base * 2^30 exceeds every cap, and the shift stays in range
    const auto factor = Duration::rep{1} << std::min(failures_++, kMaxShift);
    const auto limit = base_ > cap_ / factor ? cap_ : base_ * factor;
    return Duration(std::uniform_int_distribution<Duration::rep>(0, limit.count())(random_));
  }
  void reset() { failures_ = 0; }
  // Failures since the last reset.
  unsigned failures() const { return failures_; }

 private:
  Duration base_;
  Duration cap_;
  unsigned failures_ = 0;
  std::mt19937_64 random_;
};

}  // namespace hostcall::client
