// LatencyHistogram: counts round trips by duration, in bounded memory. A percentile is at most 1/64 too large; minimum
// and maximum are exact.
#pragma once

#include <cstdint>
#include <vector>

#include "proto/base/clock.h"

namespace hostcall::cli::guest {

class LatencyHistogram {
 public:
  void add(nanoseconds time);
  std::uint64_t count() const { return count_; }

  // These require at least one time. percentile(): by nearest rank.
  nanoseconds percentile(double percent) const;
  nanoseconds min() const { return min_; }
  nanoseconds max() const { return max_; }

 private:
  // Indexed by the highest bit and the six bits below it.
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  nanoseconds min_ = nanoseconds::max();
  nanoseconds max_{};
};

}  // namespace hostcall::cli::guest
