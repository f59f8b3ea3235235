// BusyPoll: how long to look for work before sleeping. It pays where the other side answers from another core: waking a
// sleeper costs more than the call. Where the other side waits for this very core it only delays it, so every vain
// try makes the next ones rarer.
#pragma once

#include <algorithm>

#include "proto/base/clock.h"

namespace hostcall {

class BusyPoll {
 public:
  // Zero: never.
  explicit BusyPoll(Duration limit = {}) : limit_(limit) {}

  // Calls `look` again and again, until it returns true or time is up: the limit, or `until` if that is earlier. False:
  // sleep. Tests give a clock of their own.
  template <class Look, class Now = TimePoint (*)()>
  bool run(TimePoint until, Look look, Now clock = Clock::now) {
    if (limit_ == Duration::zero()) return false;
    if (skip_ != 0) {
      --skip_;
      return false;
    }
    const auto begin = clock();
    if (until <= begin) return false;  // nobody meant to wait
    if (look()) return true;           // it was there already, which says nothing
    const auto end = std::min(until, begin + limit_);
    for (TimePoint before = clock(), now; before < end; before = now) {
      const bool found = look();
      now = clock();
      if (!found) continue;
      learn(now - before < kLook);
      return true;
    }
    learn(false);
    return false;
  }

 private:
  static constexpr unsigned kMaxMisses = 10;  // then one try in 1,024
  // A look takes less. If it took longer, the core was given to another process meanwhile: as likely as not the one
  // that was waited for, and looking was in its way.
  static constexpr std::chrono::microseconds kLook{3};

  void learn(bool hit) {
    misses_ = hit ? 0 : std::min(misses_ + 1, kMaxMisses);
    skip_ = (1u << misses_) - 1;
  }

  Duration limit_;
  unsigned misses_ = 0;  // in a row
  unsigned skip_ = 0;    // waits that go to sleep at once
};

}  // namespace hostcall
