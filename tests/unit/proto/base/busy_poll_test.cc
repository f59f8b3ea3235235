// Looking before sleeping: when it ends, and that it gets rare where it is in vain.
#include "proto/base/busy_poll.h"

#include <gtest/gtest.h>

#include <thread>

namespace hostcall {
namespace {

constexpr std::chrono::microseconds kLimit(200);

// Waits of which none finds anything; how many of them looked at all.
int tries_in_vain(BusyPoll& poll, int waits) {
  int tries = 0;
  for (int i = 0; i < waits; ++i) {
    bool looked = false;
    EXPECT_FALSE(poll.run(kNever, [&] { return looked = true, false; }));
    tries += looked;
  }
  return tries;
}

// A wait that finds something at its n-th look.
bool found_at(BusyPoll& poll, int look) {
  int looks = 0;
  return poll.run(kNever, [&] { return ++looks == look; });
}

TEST(BusyPoll, LooksUntilThereIsSomething) {
  BusyPoll poll(seconds(10));
  int looks = 0;
  EXPECT_TRUE(poll.run(kNever, [&] { return ++looks == 3; }));
  EXPECT_EQ(looks, 3);
}

TEST(BusyPoll, WithoutALimitItNeverLooks) {
  BusyPoll off;
  EXPECT_FALSE(off.run(kNever, [] { return true; }));
}

TEST(BusyPoll, EndsWithItsLimit) {
  BusyPoll poll(kLimit);
  const auto begin = Clock::now();
  EXPECT_FALSE(poll.run(kNever, [] { return false; }));
  EXPECT_GE(Clock::now() - begin, kLimit);
}

TEST(BusyPoll, EndsWithWhatItMustNotMiss) {
  BusyPoll poll(std::chrono::hours(1));
  const auto until = Clock::now() + kLimit;
  EXPECT_FALSE(poll.run(until, [] { return false; }));
  EXPECT_GE(Clock::now(), until);
  BusyPoll late(std::chrono::hours(1));
  int looks = 0;
  EXPECT_FALSE(late.run(TimePoint::min(), [&] { return ++looks > 0; }));
  EXPECT_EQ(looks, 0);
  EXPECT_TRUE(late.run(kNever, [&] { return ++looks > 0; })) << "which was no miss";
}

TEST(BusyPoll, EveryVainTryMakesTheNextOnesRarer) {
  BusyPoll poll(kLimit);
  // After the n-th miss in a row 2^n - 1 waits sleep at once.
  EXPECT_EQ(tries_in_vain(poll, 1 + 1 + 1), 2);
  EXPECT_EQ(tries_in_vain(poll, 3 + 1), 1);
  EXPECT_EQ(tries_in_vain(poll, 7 + 1), 1);
  tries_in_vain(poll, 4096);
  EXPECT_LE(tries_in_vain(poll, 10'240), 11) << "one in 1,024 in the end";
  EXPECT_GE(tries_in_vain(poll, 10'240), 9) << "but it tries again";
}

TEST(BusyPoll, AHitMakesItLookEveryTimeAgain) {
  // A machine that takes the core away just then makes it a miss: not a hundred times.
  const auto recovers = [] {
    BusyPoll poll(kLimit);
    tries_in_vain(poll, 100);
    while (!found_at(poll, 2)) continue;
    for (int i = 0; i < 10; ++i)
      if (!found_at(poll, 2)) return false;
    return true;
  };
  int runs = 0;
  while (!recovers()) ASSERT_LT(++runs, 100);
}

TEST(BusyPoll, WhatIsThereAlreadySaysNothing) {
  BusyPoll poll(kLimit);
  EXPECT_EQ(tries_in_vain(poll, 3), 2);  // three waits are left out after it
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(found_at(poll, 1));
  EXPECT_TRUE(found_at(poll, 1));
  EXPECT_EQ(tries_in_vain(poll, 8), 1) << "the third miss in a row: seven are left out";
}

TEST(BusyPoll, AHitByGivingTheCoreAwayIsAMiss) {
  BusyPoll poll(seconds(10));
  int looks = 0;
  const auto preempted = [&] {
    if (++looks == 1) return false;
    std::this_thread::sleep_for(milliseconds(1));  // the other side runs meanwhile, and answers
    return true;
  };
  EXPECT_TRUE(poll.run(kNever, preempted));
  EXPECT_FALSE(found_at(poll, 1)) << "the next wait sleeps at once";
}

}  // namespace
}  // namespace hostcall
