#include "client/lib/inbox.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/allocations.h"

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

TEST(Inbox, DoesNotCopyAMessageWhoseBlockItHolds) {
  Inbox inbox;
  const std::shared_ptr<const char[]> block = std::make_shared<char[]>(100);
  inbox.push("copied");
  inbox.push({block.get() + 10, 20}, block);
  inbox.push("last");
  EXPECT_EQ(block.use_count(), 2);
  EXPECT_EQ(inbox.take(), "copied");
  EXPECT_EQ(inbox.take().data(), block.get() + 10);
  EXPECT_EQ(block.use_count(), 2) << "the user looks at it";
  EXPECT_EQ(inbox.take(), "last");
  EXPECT_EQ(block.use_count(), 1);
  EXPECT_EQ(inbox.cost(), 0u);
}

TEST(Inbox, ReleasesTheTakenMessage) {
  Inbox inbox;
  const std::shared_ptr<const char[]> block = std::make_shared<char[]>(100);
  inbox.push({block.get(), 20}, block);
  inbox.push("copied");
  inbox.take();
  inbox.release();
  EXPECT_EQ(block.use_count(), 1) << "the block can take what comes next";
  inbox.release();
  EXPECT_EQ(inbox.take(), "copied") << "only what was taken is gone";
}

TEST(Inbox, UsesTheMemoryOfTakenMessagesAgain) {
  Inbox inbox;
  const std::string large(50'000, 'm');
  for (int round = 0; round < 3; ++round) {
    test::forget_allocations();
    for (int i = 0; i < 4; ++i) inbox.push(large);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(inbox.take(), large);
  }
  EXPECT_LT(test::largest_allocation(), large.size());
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
