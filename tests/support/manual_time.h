// ManualTime: a clock that moves only when the test moves it.
#pragma once

#include "proto/base/clock.h"

namespace hostcall::test {

class ManualTime final : public TimeSource {
 public:
  TimePoint now() const override { return now_; }
  void advance(Duration time) { now_ += time; }

 private:
  TimePoint now_{seconds(1'000'000)};
};

}  // namespace hostcall::test
