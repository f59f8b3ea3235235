// Looking before sleeping: when it ends, and that it gets rare where it is in vain. The clock is turned by the looks.
#include "proto/base/busy_poll.h"

#include <gtest/gtest.h>

namespace hostcall {
namespace {

using std::chrono::microseconds;

constexpr microseconds kLimit(200);
constexpr microseconds kOneLook(1);

// Waits, each with looks that take their time on a clock of the test's.
class Waits {
 public:
  explicit Waits(Duration limit, Duration look = kOneLook) : poll_(limit), look_(look) {}

  // A wait that finds something at its n-th look; 0: never.
  bool found_at(int look, TimePoint until = kNever) {
    looks_ = 0;
    const auto find = [&] { return now_ += look_, ++looks_ == look; };
    return poll_.run(until, find, [this] { return now_; });
  }
  // How many of so many waits, of which none finds anything, looked at all.
  int tries_in_vain(int waits) {
    int tries = 0;
    for (int i = 0; i < waits; ++i) {
      EXPECT_FALSE(found_at(0));
      tries += looks_ != 0;
    }
    return tries;
  }
  int looks() const { return looks_; }  // of the last wait
  TimePoint now() const { return now_; }

 private:
  BusyPoll poll_;
  const Duration look_;
  TimePoint now_{seconds(1000)};
  int looks_ = 0;
};

TEST(BusyPoll, LooksUntilThereIsSomething) {
  Waits waits(kLimit);
  EXPECT_TRUE(waits.found_at(3));
  EXPECT_EQ(waits.looks(), 3);
}

TEST(BusyPoll, WithoutALimitItNeverLooks) {
  Waits waits(Duration::zero());
  EXPECT_FALSE(waits.found_at(1));
  EXPECT_EQ(waits.looks(), 0);
}

TEST(BusyPoll, EndsWithItsLimit) {
  Waits waits(kLimit);
  EXPECT_FALSE(waits.found_at(0));
  EXPECT_EQ(waits.looks(), kLimit / kOneLook);
}

TEST(BusyPoll, EndsWithWhatItMustNotMiss) {
  Waits waits(std::chrono::hours(1));
  const auto until = waits.now() + kLimit;
  EXPECT_FALSE(waits.found_at(0, until));
  EXPECT_EQ(waits.now(), until);
  Waits late(std::chrono::hours(1));
  EXPECT_FALSE(late.found_at(1, TimePoint::min()));
  EXPECT_EQ(late.looks(), 0);
  EXPECT_TRUE(late.found_at(1)) << "which was no miss";
}

TEST(BusyPoll, LooksByTheRealClockUnlessItIsGivenAnother) {
  BusyPoll poll(kLimit);
  const auto begin = Clock::now();
  EXPECT_FALSE(poll.run(kNever, [] { return false; }));
  EXPECT_GE(Clock::now() - begin, kLimit);
}

TEST(BusyPoll, EveryVainTryMakesTheNextOnesRarer) {
  Waits waits(kLimit);
  // After the n-th miss in a row 2^n - 1 waits sleep at once.
  EXPECT_EQ(waits.tries_in_vain(1 + 1 + 1), 2);
  EXPECT_EQ(waits.tries_in_vain(3 + 1), 1);
  EXPECT_EQ(waits.tries_in_vain(7 + 1), 1);
  waits.tries_in_vain(4096);
  EXPECT_EQ(waits.tries_in_vain(10'240), 10) << "one in 1,024 in the end";
}

TEST(BusyPoll, AHitMakesItLookEveryTimeAgain) {
  Waits waits(kLimit);
  waits.tries_in_vain(100);
  while (!waits.found_at(2)) continue;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(waits.found_at(2));
}

TEST(BusyPoll, WhatIsThereAlreadySaysNothing) {
  Waits waits(kLimit);
  EXPECT_EQ(waits.tries_in_vain(3), 2);  // three waits are left out after it
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(waits.found_at(1));
  EXPECT_TRUE(waits.found_at(1));
  EXPECT_EQ(waits.tries_in_vain(8), 1) << "the third miss in a row: seven are left out";
}

TEST(BusyPoll, AHitByGivingTheCoreAwayIsAMiss) {
  // Looks so long that the other side can run meanwhile, and answer.
  Waits waits(seconds(10), milliseconds(1));
  EXPECT_TRUE(waits.found_at(2));
  EXPECT_FALSE(waits.found_at(1)) << "the next wait sleeps at once";
}

}  // namespace
}  // namespace hostcall
