#include "client/inbox.h"

#include <gtest/gtest.h>

#include <string>

namespace hostcall::client {
namespace {

TEST(Inbox, GivesMessagesInOrderAndCountsTheirCost) {
  Inbox inbox;
  std::size_t cost = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string message(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
    inbox.push(message);
    cost += message.size() + wire::kDataFrameCost;
    EXPECT_EQ(inbox.cost(), cost);
  }
  for (int i = 0; i < 100; ++i) {
    ASSERT_FALSE(inbox.empty());
    EXPECT_EQ(inbox.take(), std::string(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26)));
  }
  EXPECT_TRUE(inbox.empty());
  EXPECT_EQ(inbox.cost(), 0u);
}

TEST(Inbox, ATakenMessageStaysWhileOthersCome) {
  Inbox inbox;
  inbox.push("first");
  const auto taken = inbox.take();
  for (int i = 0; i < 50; ++i) inbox.push(std::string(1000, 'x'));
  EXPECT_EQ(taken, "first");
}

TEST(Inbox, InterleavedUseKeepsOrder) {
  Inbox inbox;
  int next_in = 0, next_out = 0;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 3; ++i) inbox.push(std::to_string(next_in++));
    for (int i = 0; i < 2; ++i) EXPECT_EQ(inbox.take(), std::to_string(next_out++));
  }
  while (!inbox.empty()) EXPECT_EQ(inbox.take(), std::to_string(next_out++));
  EXPECT_EQ(next_out, next_in);
}

}  // namespace
}  // namespace hostcall::client
