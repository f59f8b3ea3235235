// The arithmetic of credit: overdraft, granting, bounds.
#include "proto/wire/window.h"

#include <gtest/gtest.h>

namespace hostcall::wire {
namespace {

TEST(SendWindow, MaySendWhileCreditIsLeftAndPaysTheWholeFrame) {
  SendWindow window(100);
  EXPECT_TRUE(window.open());
  window.pay(data_cost(1'000'000));
  EXPECT_FALSE(window.open());
  EXPECT_TRUE(window.add(1'000'000));
  EXPECT_TRUE(window.open()) << "100 - 1,000,064 + 1,000,000 = 36";
  window.pay(36);
  EXPECT_FALSE(window.open()) << "no credit at exactly zero";
}

TEST(SendWindow, HoldsNoMoreThan31Bits) {
  SendWindow window(1);
  EXPECT_TRUE(window.add(0x7FFFFFFE));
  EXPECT_FALSE(window.add(1));
  SendWindow other(0);
  EXPECT_FALSE(other.add(0xFFFFFFFF));
}

TEST(ReceiveWindow, AllowsOneOverdraftAndNoMore) {
  ReceiveWindow window(100);
  EXPECT_TRUE(window.take(5000));
  EXPECT_FALSE(window.take(1));
}

TEST(ReceiveWindow, GrantsWhenAQuarterIsUsed) {
  ReceiveWindow window(1000);
  ASSERT_TRUE(window.take(900));
  EXPECT_EQ(window.used(249), 0u);
  EXPECT_EQ(window.used(1), 250u);
  EXPECT_EQ(window.used(200), 0u);
  ASSERT_TRUE(window.take(350)) << "1000 - 900 + 250";
  EXPECT_FALSE(window.take(1));
  EXPECT_EQ(window.used(600), 800u);
}

// Whatever a sender does within the rules, after the receiver has used everything the sender may send again.
TEST(ReceiveWindow, NeverStallsASenderWhoseBytesAreUsed) {
  for (const std::uint32_t initial : {1u, 2u, 63u, 64u, 65u, 1000u, 65536u}) {
    SendWindow sender(initial);
    ReceiveWindow receiver(initial);
    for (std::size_t message = 0; message < 3000; message += 7) {
      ASSERT_TRUE(sender.open()) << initial << ' ' << message;
      const auto cost = data_cost(message * message);
      sender.pay(cost);
      ASSERT_TRUE(receiver.take(cost));
      if (const auto credit = receiver.used(cost); credit != 0) {
        ASSERT_TRUE(sender.add(credit));
      }
    }
  }
}

}  // namespace
}  // namespace hostcall::wire
