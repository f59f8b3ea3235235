// Time inside one process: monotonic, never wall clock. Code takes `now` as an argument, or a TimeSource, so that tests
// can turn the clock by hand.
#pragma once

#include <chrono>

namespace hostcall {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// Where a program's time comes from, for those that do not take it as an argument.
class TimeSource {
 public:
  virtual TimePoint now() const = 0;

 protected:
  ~TimeSource() = default;
};

class SteadyTime final : public TimeSource {
 public:
  TimePoint now() const override { return Clock::now(); }
};
inline constexpr SteadyTime kSteadyTime;

inline constexpr TimePoint kNever = TimePoint::max();

// now + delay, or kNever where that would overflow.
inline TimePoint deadline_after(TimePoint now, Duration delay) { return delay > kNever - now ? kNever : now + delay; }

}  // namespace hostcall
