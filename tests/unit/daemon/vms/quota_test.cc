// Accounting: charges keep within the limit, always come back, and a bug in them ends the process.
#include "daemon/vms/quota.h"

#include <gtest/gtest.h>

#include <string>

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

// Three that wait, and what else is charged. A message leaves 25 of 100 bytes.
class QuotaRoomTest : public testing::Test {
 protected:
  struct Waiter final : public RoomWaiter {
    Waiter(char waiter_name, std::string& waiter_log) : name(waiter_name), log(waiter_log) {}
    ~Waiter() override { stop_waiting(); }
    void on_room() override {
      log += name;
      if (!holds_room()) log += '!';
    }
    const char name;
    std::string& log;
  };
  QuotaRoomTest() { other_.set(100); }
  void leave(std::uint64_t bytes) { other_.set(quota_.limits().outbound_bytes - bytes); }

  std::string log_;  // who was told, and "!" if it had no room
  Quota quota_{{.outbound_bytes = 100}};
  Charge other_{quota_, Resource::kOutbound};
  Waiter a_{'a', log_}, b_{'b', log_}, c_{'c', log_};
};

TEST_F(QuotaRoomTest, IsChargedWhenThereIsEnough) {
  quota_.wait_for_room(a_, 10);
  leave(35);
  EXPECT_EQ(log_, "") << "one byte is missing";
  leave(36);
  EXPECT_EQ(log_, "a");
  EXPECT_TRUE(a_.holds_room_for(10));
  EXPECT_FALSE(a_.holds_room_for(11));
  EXPECT_EQ(quota_.left(Resource::kOutbound), 25u);
  leave(100);
  EXPECT_EQ(log_, "a") << "once";
  a_.give_up_room();
  EXPECT_EQ(quota_.left(Resource::kOutbound), 100u);
}

TEST_F(QuotaRoomTest, AMessageWithoutBytesHasRoomToo) {
  quota_.wait_for_room(a_, 0);
  leave(26);
  EXPECT_EQ(log_, "a");
  EXPECT_TRUE(a_.holds_room_for(0));
}

TEST_F(QuotaRoomTest, GoesToThoseWhoWaitInTheirOrder) {
  quota_.wait_for_room(a_, 40);
  quota_.wait_for_room(b_, 5);
  quota_.wait_for_room(c_, 5);
  leave(60);
  EXPECT_EQ(log_, "") << "the small ones would fit, but do not overtake";
  EXPECT_FALSE(quota_.has_room_for_message(1)) << "nor does one that does not wait";
  leave(66);
  EXPECT_EQ(log_, "a") << "its room counts for the others";
  leave(72);
  EXPECT_EQ(log_, "ab");
  EXPECT_FALSE(quota_.has_room_for_message(0));
  leave(100);
  EXPECT_EQ(log_, "abc");
  EXPECT_TRUE(quota_.has_room_for_message(1));
}

TEST_F(QuotaRoomTest, WhoAsksAgainKeepsItsPlace) {
  quota_.wait_for_room(a_, 40);
  quota_.wait_for_room(b_, 5);
  quota_.wait_for_room(a_, 10);
  leave(36);
  EXPECT_EQ(log_, "a") << "it needs less now";
  EXPECT_FALSE(a_.holds_room_for(40));
}

TEST_F(QuotaRoomTest, WhoHasHadItsTurnGoesToTheFront) {
  for (auto* waiter : {&a_, &b_, &c_}) quota_.wait_for_room(*waiter, 10);
  leave(36);
  a_.give_up_room();
  EXPECT_EQ(log_, "ab");
  b_.give_up_room();
  EXPECT_EQ(log_, "abc");
  quota_.wait_for_room(a_, 20);
  quota_.wait_for_room(b_, 30, Quota::Place::kFirst);
  c_.give_up_room();
  EXPECT_EQ(log_, "abc");
  leave(56);
  EXPECT_EQ(log_, "abcb");
  b_.give_up_room();
  EXPECT_EQ(log_, "abcba");
}

TEST_F(QuotaRoomTest, IsThereAtOnceForWhoFits) {
  leave(50);
  quota_.wait_for_room(a_, 10);
  EXPECT_EQ(log_, "a") << "nobody would wake it later";
}

TEST_F(QuotaRoomTest, MayTakeAllOnlyForMessagesThatNeedIt) {
  quota_.wait_for_room(a_, 99);
  leave(99);
  EXPECT_EQ(log_, "");
  leave(100);
  EXPECT_EQ(log_, "a");
  EXPECT_TRUE(quota_.never_fits(100));
  EXPECT_FALSE(quota_.never_fits(99));
}

TEST_F(QuotaRoomTest, WhoLeavesInAnyPlaceHoldsUpNobody) {
  for (auto* leaver : {&a_, &b_, &c_}) {
    log_.clear();
    leave(40);
    quota_.wait_for_room(a_, 30);
    quota_.wait_for_room(b_, leaver == &a_ ? 5 : 30);
    quota_.wait_for_room(c_, leaver == &a_ ? 30 : 5);
    EXPECT_EQ(log_, "");
    leaver->stop_waiting();
    EXPECT_EQ(log_, leaver == &a_ ? "b" : "") << "those behind the first one may fit";
    leave(100);
    EXPECT_EQ(log_, leaver == &a_ ? "bc" : leaver == &b_ ? "ac" : "ab");
    for (auto* waiter : {&a_, &b_, &c_}) waiter->stop_waiting();
    EXPECT_EQ(quota_.left(Resource::kOutbound), 100u);
  }
}

TEST_F(QuotaRoomTest, WhoLeavesWithRoomGivesItToTheNext) {
  quota_.wait_for_room(a_, 30);
  quota_.wait_for_room(b_, 30);
  leave(60);
  EXPECT_EQ(log_, "a");
  a_.stop_waiting();
  EXPECT_EQ(log_, "ab");
}

TEST_F(QuotaRoomTest, MayBeWaitedForByWhoIsForgottenMeanwhile) {
  quota_.wait_for_room(a_, 10);
  a_.forget_waiting();
  leave(100);
  EXPECT_EQ(log_, "");
}

// Of the old limit, more may have been asked than the new one ever has.
TEST_F(QuotaRoomTest, IsOfTheLimitsAsTheyAre) {
  quota_.wait_for_room(a_, 90);
  quota_.wait_for_room(b_, 5);
  quota_.wait_for_room(c_, 70);
  quota_.set_limits({.outbound_bytes = 80});
  EXPECT_EQ(log_, "a!") << "it must learn that it never fits";
  leave(26);
  EXPECT_EQ(log_, "a!b");
  quota_.set_limits({.outbound_bytes = 40});
  EXPECT_EQ(log_, "a!bc!");
  b_.give_up_room();
  quota_.wait_for_room(a_, 30);
  leave(10);
  quota_.set_limits({.outbound_bytes = 200});
  EXPECT_EQ(log_, "a!bc!a") << "higher limits have room";
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
