// Where messages may stay, and that there is always a block for what comes next.
#include "client/lib/receive_buffer.h"

#include <gtest/gtest.h>

namespace hostcall::client {
namespace {

constexpr std::size_t kLarge = 64 * 1024;

TEST(ReceiveBuffer, IsTheSameBlockWhileNothingIsHeld) {
  ReceiveBuffer buffer;
  const auto* first = buffer.room().data();
  EXPECT_EQ(buffer.room().data(), first);
  EXPECT_EQ(buffer.data(), first);
}

TEST(ReceiveBuffer, LeavesAHeldBlockAlone) {
  ReceiveBuffer buffer;
  const auto* first = buffer.room().data();
  auto held = buffer.hold({first, kLarge});
  ASSERT_TRUE(held);
  EXPECT_EQ(held.get(), first);
  const auto* second = buffer.room().data();
  EXPECT_NE(second, first);
  EXPECT_FALSE(buffer.hold({second, kLarge})) << "the first is held still: nothing would be left";
  held.reset();
  EXPECT_TRUE(buffer.hold({second, kLarge}));
}

TEST(ReceiveBuffer, HoldsSeveralMessagesOfABlock) {
  ReceiveBuffer buffer;
  const auto* first = buffer.room().data();
  const auto one = buffer.hold({first, kLarge});
  const auto other = buffer.hold({first + kLarge, kLarge});
  EXPECT_TRUE(one && other);
}

TEST(ReceiveBuffer, AsksForWholeFramesAndKnowsWhenItGotThem) {
  ReceiveBuffer buffer;
  EXPECT_EQ(buffer.room().size(), ReceiveBuffer::kBytes);
  EXPECT_FALSE(buffer.was_filled(kLarge));
  buffer.saw(kLarge, 1, false);
  const auto whole = ReceiveBuffer::kBytes / kLarge * kLarge;
  EXPECT_EQ(buffer.room().size(), whole);
  EXPECT_TRUE(buffer.was_filled(whole));
}

TEST(ReceiveBuffer, HoldsNothingThatIsSmallOrElsewhere) {
  ReceiveBuffer buffer;
  const auto room = buffer.room();
  const std::string elsewhere(kLarge, 'e');
  EXPECT_FALSE(buffer.hold({room.data(), 100}));
  EXPECT_FALSE(buffer.hold(elsewhere));
  EXPECT_FALSE(buffer.hold({room.data() + room.size(), kLarge}));
}

}  // namespace
}  // namespace hostcall::client
