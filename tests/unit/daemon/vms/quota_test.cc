// Accounting: charges keep within the limit, always come back, and a bug in them ends the process.
#include "daemon/vms/quota.h"

#include <gtest/gtest.h>

namespace hostcall::daemon {
namespace {

TEST(Quota, ChargesUpToTheLimitAndNotBeyond) {
  Quota quota({.streams = 3});
  Charge charge(quota, Resource::kStreams);
  EXPECT_TRUE(charge.try_grow(2));
  EXPECT_FALSE(charge.try_grow(2));
  EXPECT_EQ(charge.amount(), 2u) << "a refusal changes nothing";
  EXPECT_EQ(quota.used(Resource::kStreams), 2u);
  EXPECT_TRUE(charge.try_grow(1));
  EXPECT_EQ(quota.left(Resource::kStreams), 0u);
  EXPECT_FALSE(charge.try_grow(UINT64_MAX)) << "no overflow";
}

TEST(Quota, EachResourceHasItsOwnLimit) {
  const Limits limits{.connections = 1, .streams = 2, .memory_bytes = 3, .outbound_bytes = 4};
  const Quota quota(limits);
  EXPECT_EQ(quota.limit(Resource::kConnections), 1u);
  EXPECT_EQ(quota.limit(Resource::kStreams), 2u);
  EXPECT_EQ(quota.limit(Resource::kMemory), 3u);
  EXPECT_EQ(quota.limit(Resource::kOutbound), 4u);
}

class Waiter final : public RoomWaiter {
 public:
  int told = 0;

 private:
  void has_room() override { ++told; }
};

TEST(Quota, WhoWaitsForRoomIsToldOnceThereIsEnough) {
  Quota quota({.outbound_bytes = 100});
  Charge charge(quota, Resource::kOutbound);
  charge.set(100);
  Waiter small, large;
  quota.wait_for_room(small, 10);
  quota.wait_for_room(large, 50);
  charge.shrink(9);
  EXPECT_EQ(small.told + large.told, 0);
  charge.shrink(1);
  EXPECT_EQ(small.told, 1);
  charge.shrink(30);
  EXPECT_EQ(large.told, 0);
  charge.reset();
  EXPECT_EQ(large.told, 1);
  EXPECT_EQ(small.told, 1) << "once";
}

// Of the old limit, more may have been asked than the new one ever has.
TEST(Quota, WhoWaitsForRoomAsksAgainWhenTheLimitsChange) {
  Quota quota({.outbound_bytes = 100});
  Charge charge(quota, Resource::kOutbound);
  charge.set(100);
  Waiter waiter;
  quota.wait_for_room(waiter, 50);
  quota.set_limits({.outbound_bytes = 40});
  EXPECT_EQ(waiter.told, 1);
}

TEST(Quota, ChargesOfOneVmAddUp) {
  Quota quota({.memory_bytes = 10});
  Charge a(quota, Resource::kMemory);
  Charge b(quota, Resource::kMemory);
  EXPECT_TRUE(a.try_grow(6));
  EXPECT_FALSE(b.try_grow(5));
  a.shrink(1);
  EXPECT_TRUE(b.try_grow(5));
}

TEST(Quota, TheEndOfAChargeGivesItBack) {
  Quota quota({});
  {
    Charge charge(quota, Resource::kConnections);
    ASSERT_TRUE(charge.try_grow(1));
  }
  EXPECT_EQ(quota.used(Resource::kConnections), 0u);
}

TEST(Quota, AMovedChargeIsHeldOnce) {
  Quota quota({});
  Charge a(quota, Resource::kMemory);
  ASSERT_TRUE(a.try_grow(5));
  Charge b(std::move(a));
  EXPECT_EQ(b.amount(), 5u);
  EXPECT_EQ(quota.used(Resource::kMemory), 5u);
  Charge c(quota, Resource::kMemory);
  ASSERT_TRUE(c.try_grow(7));
  c = std::move(b);
  EXPECT_EQ(quota.used(Resource::kMemory), 5u) << "what the target held before is given back";
  c = Charge();
  EXPECT_EQ(quota.used(Resource::kMemory), 0u);
}

TEST(Quota, BytesThatExistAreChargedBeyondTheLimit) {
  Quota quota({.outbound_bytes = 10});
  Charge charge(quota, Resource::kOutbound);
  charge.set(10);
  EXPECT_EQ(quota.left(Resource::kOutbound), 0u);
  charge.set(12);
  EXPECT_EQ(quota.used(Resource::kOutbound), 12u);
  EXPECT_EQ(quota.left(Resource::kOutbound), 0u);
  charge.set(11);
  EXPECT_EQ(quota.used(Resource::kOutbound), 11u);
  charge.set(0);
  EXPECT_EQ(quota.left(Resource::kOutbound), 10u);
}

TEST(Quota, LowerLimitsLeaveWhatIsThere) {
  Quota quota({.streams = 5});
  Charge charge(quota, Resource::kStreams);
  ASSERT_TRUE(charge.try_grow(4));
  quota.set_limits({.streams = 2});
  EXPECT_EQ(quota.left(Resource::kStreams), 0u);
  EXPECT_FALSE(charge.try_grow(1));
  charge.shrink(3);
  EXPECT_TRUE(charge.try_grow(1));
}

TEST(QuotaDeathTest, AQuotaThatEndsWithChargesIsABug) {
  const auto leak = [] {
    Charge* charge;
    Quota quota({});
    charge = new Charge(quota, Resource::kStreams);
    EXPECT_TRUE(charge->try_grow(2));
  };
  EXPECT_DEATH(leak(), "accounting of streams: charged at the end of the quota .2.");
}

TEST(QuotaDeathTest, MoreBackThanChargedIsABug) {
  Quota quota({});
  Charge charge(quota, Resource::kMemory);
  ASSERT_TRUE(charge.try_grow(1));
  EXPECT_DEATH(charge.shrink(2), "accounting of memory_bytes: charge shrunk below zero .2.");
}

TEST(Charge, WithoutAQuotaCountsForNobody) {
  Charge charge;
  EXPECT_TRUE(charge.try_grow(1'000'000));
  charge.set(10);
  EXPECT_EQ(charge.amount(), 10U);
  charge.set(20);
  EXPECT_EQ(charge.amount(), 20U);
}

constexpr TimePoint kStart{seconds(1000)};

TEST(TokenBucket, GrantsTheBurstThenTheRate) {
  TokenBucket bucket(20, 3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(bucket.take(kStart), Duration::zero());
  EXPECT_EQ(bucket.take(kStart), milliseconds(50));
  EXPECT_EQ(bucket.take(kStart + milliseconds(20)), milliseconds(30)) << "a refusal costs nothing";
  EXPECT_EQ(bucket.take(kStart + milliseconds(50)), Duration::zero());
  EXPECT_EQ(bucket.take(kStart + milliseconds(50)), milliseconds(50));
}

TEST(TokenBucket, WhoWaitsAsToldIsServed) {
  for (const double rate : {0.001, 0.3, 1.0, 3.0, 7.7, 1000.0, 1e9}) {
    TokenBucket bucket(rate, 1);
    auto now = kStart;
    ASSERT_EQ(bucket.take(now), Duration::zero());
    for (int i = 0; i < 100; ++i) {
      const auto wait = bucket.take(now);
      ASSERT_GT(wait, Duration::zero()) << rate;
      ASSERT_EQ(bucket.take(now += wait), Duration::zero()) << rate;
    }
  }
}

TEST(TokenBucket, SavesNoMoreThanTheBurst) {
  TokenBucket bucket(10, 2);
  ASSERT_EQ(bucket.take(kStart), Duration::zero());
  EXPECT_DOUBLE_EQ(bucket.left(kStart), 1);
  EXPECT_DOUBLE_EQ(bucket.left(kStart + milliseconds(50)), 1.5);
  EXPECT_DOUBLE_EQ(bucket.left(kStart + seconds(3600)), 2);
}

TEST(TokenBucket, GrantsAllOrNone) {
  TokenBucket bucket(10, 5);
  EXPECT_EQ(bucket.take(kStart, 4), Duration::zero());
  EXPECT_EQ(bucket.take(kStart, 3), milliseconds(200)) << "one is there";
  EXPECT_DOUBLE_EQ(bucket.left(kStart), 1) << "a refusal costs nothing";
  EXPECT_EQ(bucket.take(kStart), Duration::zero());
}

TEST(TokenBucket, NeverHoldsMoreThanTheBurst) {
  TokenBucket bucket(10, 3);
  EXPECT_TRUE(bucket.can_hold(3));
  EXPECT_FALSE(bucket.can_hold(4));
  EXPECT_EQ(bucket.take(kStart, 4), Duration::max());
  EXPECT_EQ(bucket.wait_for(kStart, 3), Duration::zero()) << "asking takes nothing";
  EXPECT_EQ(bucket.take(kStart, 3), Duration::zero());
  EXPECT_EQ(bucket.wait_for(kStart, 2), milliseconds(200));
}

TEST(TokenBucket, TakesBackWhatWasTakenForNothing) {
  TokenBucket bucket(10, 3);
  ASSERT_EQ(bucket.take(kStart, 2), Duration::zero());
  bucket.give_back(2);
  EXPECT_DOUBLE_EQ(bucket.left(kStart), 3);
  bucket.give_back(2);
  EXPECT_DOUBLE_EQ(bucket.left(kStart), 3) << "never more than the burst";
}

TEST(TokenBucket, AClockThatStandsOrGoesBackGrantsNothing) {
  TokenBucket bucket(10, 1);
  ASSERT_EQ(bucket.take(kStart), Duration::zero());
  EXPECT_GT(bucket.take(kStart - seconds(5)), Duration::zero());
  EXPECT_EQ(bucket.take(kStart), milliseconds(100)) << "and the time is not counted twice afterwards";
}

}  // namespace
}  // namespace hostcall::daemon
