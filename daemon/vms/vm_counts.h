// VmCounts: what a registered VM has done since its registration, as plain counters, which only grow. Views and metrics
// read them.
#pragma once

#include <cstdint>
#include <utility>

#include "proto/base/histogram.h"

namespace hostcall::daemon {

// Chooses the answers whose time is taken, because a look at the clock costs as much as all other counting. A caller
// that calls now and then has each of its calls timed. Of one that calls fast, one in 64 stands for all.
class TimingPace {
 public:
  // Counts a call. Whether it is to be timed: timed() follows.
  bool is_due() { return ++untimed_ >= stride_; }
  // Returns how many calls it stands for, itself included.
  std::uint32_t timed(TimePoint now) {
    if (now - began_ >= kPeriod) {
      began_ = now;
      left_ = kTimedPerPeriod;
    } else if (left_ != 0) {
      --left_;
    }
    stride_ = left_ == 0 ? kStride : 1;
    return std::exchange(untimed_, 0);
  }

 private:
  static constexpr Duration kPeriod = seconds(1);
  static constexpr std::uint32_t kTimedPerPeriod = 16;
  static constexpr std::uint32_t kStride = 64;

  TimePoint began_{};
  std::uint32_t untimed_ = 0;
  std::uint32_t stride_ = 1;
  std::uint32_t left_ = kTimedPerPeriod;
};

struct VmCounts {
  std::uint64_t calls = 0;
  std::uint64_t denied = 0;   // by policy
  std::uint64_t limited = 0;  // refused because of a limit or a rate; connections too
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  DurationHistogram latency;  // of unary calls, from the turn that took the request to the answer
  TimingPace pace;
};

}  // namespace hostcall::daemon
