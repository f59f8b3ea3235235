// DurationHistogram: how often something took how long, in twelve buckets from 10 us to 10 s and one for what
// took longer. Plain integers for one thread, which only grow.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "proto/base/clock.h"

namespace hostcall {

class DurationHistogram {
 public:
  // The highest duration of each bucket but the last.
  static constexpr std::array<Duration, 12> kBounds = {std::chrono::microseconds(10),
                                                       std::chrono::microseconds(30),
                                                       std::chrono::microseconds(100),
                                                       std::chrono::microseconds(300),
                                                       milliseconds(1),
                                                       milliseconds(3),
                                                       milliseconds(10),
                                                       milliseconds(30),
                                                       milliseconds(100),
                                                       milliseconds(300),
                                                       seconds(1),
                                                       seconds(10)};
  using Buckets = std::array<std::uint64_t, kBounds.size() + 1>;

  // `times`: for how many the duration stands.
  void add(Duration took, std::uint64_t times = 1) {
    std::size_t bucket = 0;
    while (bucket < kBounds.size() && took > kBounds[bucket]) ++bucket;
    buckets_[bucket] += times;
    sum_ += took * static_cast<Duration::rep>(times);
  }
  // Of each bucket alone.
  const Buckets& buckets() const { return buckets_; }
  Duration sum() const { return sum_; }
  std::uint64_t count() const {
    std::uint64_t count = 0;
    for (const auto bucket : buckets_) count += bucket;
    return count;
  }
  // The bound that so large a part (0 to 1) of all does not exceed; Duration::max() if that is more than 10 s. Zero:
  // there are none.
  Duration quantile(double part) const;

 private:
  Buckets buckets_{};
  Duration sum_{};
};

inline Duration DurationHistogram::quantile(double part) const {
  const auto all = count();
  if (all == 0) return Duration::zero();
  const auto wanted = part * static_cast<double>(all);
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kBounds.size(); ++bucket)
    if (static_cast<double>(seen += buckets_[bucket]) >= wanted && seen != 0) return kBounds[bucket];
  return Duration::max();
}

}  // namespace hostcall
