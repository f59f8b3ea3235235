// LatencyHistogram: round trips by their length, in bounded memory however many there are. A percentile is at most one
// part in 64 too large; the smallest and the largest are exact.
#pragma once

#include <cstdint>
#include <vector>

#include "proto/base/clock.h"

namespace hostcall::cli::guest {

class LatencyHistogram {
 public:
  void add(nanoseconds time);
  std::uint64_t count() const { return count_; }

  // These need a time. A time that at least this share of all did not exceed (nearest rank).
  nanoseconds percentile(double percent) const;
  nanoseconds min() const { return min_; }
  nanoseconds max() const { return max_; }

 private:
  // Indexed by the power of two and the six bits below it.
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  nanoseconds min_ = nanoseconds::max();
  nanoseconds max_{};
};

}  // namespace hostcall::cli::guest
