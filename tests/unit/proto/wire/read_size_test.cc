// How much is asked for, after what has come.
#include "proto/wire/read_size.h"

#include <gtest/gtest.h>

namespace hostcall::wire {
namespace {

constexpr std::size_t kMost = 1'000;

TEST(ReadSize, IsAllThatThereIsRoomForAtFirst) { EXPECT_EQ(ReadSize().next(kMost), kMost); }

TEST(ReadSize, IsWholeFramesOfTheSizeOfBefore) {
  ReadSize size;
  size.saw(300, 1, false);
  EXPECT_EQ(size.next(kMost), 900u);
  EXPECT_EQ(size.next(900), 900u);
  EXPECT_EQ(size.next(299), 299u) << "not even one";
  size.saw(900, 3, false);
  EXPECT_EQ(size.next(kMost), 900u);
}

TEST(ReadSize, IsAllWhenFramesDiffer) {
  ReadSize size;
  size.saw(301, 2, false);
  EXPECT_EQ(size.next(kMost), kMost);
}

TEST(ReadSize, IsAllAroundAnIncompleteFrame) {
  ReadSize size;
  size.saw(300, 1, true);
  EXPECT_EQ(size.next(kMost), kMost) << "its end is to come";
  size.saw(300, 1, false);
  EXPECT_EQ(size.next(kMost), kMost) << "began inside a frame";
  size.saw(300, 1, false);
  EXPECT_EQ(size.next(kMost), 900u);
}

TEST(ReadSize, IsAllWithoutAFrame) {
  ReadSize size;
  size.saw(5, 0, true);
  EXPECT_EQ(size.next(kMost), kMost);
}

}  // namespace
}  // namespace hostcall::wire
