#include "daemon/vms/vm_counts.h"

#include <gtest/gtest.h>

namespace hostcall::daemon {
namespace {

struct Timed {
  std::uint64_t answers = 0;  // that were timed
  std::uint64_t stand_for = 0;
};

class TimingPaceTest : public testing::Test {
 protected:
  Timed call(int times, Duration apart) {
    Timed timed;
    for (int i = 0; i < times; ++i, now_ += apart) {
      if (!pace_.is_due()) continue;
      ++timed.answers;
      timed.stand_for += pace_.timed(now_);
    }
    return timed;
  }

  TimePoint now_{seconds(1000)};
  TimingPace pace_;
};

TEST_F(TimingPaceTest, WhoCallsNowAndThenHasEachCallTimed) {
  const auto timed = call(1000, milliseconds(100));
  EXPECT_EQ(timed.answers, 1000u);
  EXPECT_EQ(timed.stand_for, 1000u);
}

TEST_F(TimingPaceTest, OfManyCallsOneInSixtyFourStandsForAll) {
  const auto timed = call(160'000, std::chrono::microseconds(10));
  EXPECT_LT(timed.answers, 2'600u);
  EXPECT_GT(timed.answers, 2'400u);
  EXPECT_LE(timed.stand_for, 160'000u);
  EXPECT_GT(timed.stand_for, 160'000u - 64);
}

TEST_F(TimingPaceTest, ACallerThatSlowsDownIsSoonTimedAgain) {
  call(10'000, std::chrono::microseconds(10));
  call(64, seconds(1));
  EXPECT_EQ(call(50, milliseconds(100)).answers, 50u);
}

}  // namespace
}  // namespace hostcall::daemon
