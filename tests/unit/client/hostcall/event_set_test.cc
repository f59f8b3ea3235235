// EventSet: what it tells of descriptors, and when it gives up.
#include "client/hostcall/event_set.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>

namespace hostcall::cli::guest {
namespace {

constexpr std::uint64_t kData = 42;

struct Pair {
  Pair() {
    std::array<int, 2> fds{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    here = UniqueFd::adopt(fds[0]);
    there = UniqueFd::adopt(fds[1]);
  }
  UniqueFd here, there;
};

TEST(EventSet, TellsWhatHasHappenedAndToWhom) {
  EventSet set;
  Pair pair;
  short watched = 0;
  ASSERT_TRUE(set.want(pair.here.get(), watched, POLLIN, kData).ok());
  EXPECT_TRUE(set.wait(TimePoint()).empty());
  EXPECT_EQ(::send(pair.there.get(), "x", 1, 0), 1);
  const auto events = set.wait(kNever);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(std::uint64_t{events[0].data.u64}, kData);
  EXPECT_EQ(events[0].events, static_cast<std::uint32_t>(POLLIN));
  ASSERT_TRUE(set.want(pair.here.get(), watched, POLLOUT, kData).ok());
  EXPECT_EQ(set.wait(kNever)[0].events, static_cast<std::uint32_t>(POLLOUT));
}

TEST(EventSet, NobodyIsToldOfTheEndOfWhatNobodyWaitsFor) {
  EventSet set;
  Pair pair;
  short watched = 0;
  ASSERT_TRUE(set.want(pair.here.get(), watched, POLLIN, kData).ok());
  ASSERT_TRUE(set.want(pair.here.get(), watched, 0, kData).ok());
  pair.there.reset();
  EXPECT_TRUE(set.wait(TimePoint()).empty());
  ASSERT_TRUE(set.want(pair.here.get(), watched, POLLIN, kData).ok());
  EXPECT_EQ(set.wait(kNever).size(), 1U);
}

TEST(EventSet, FailsForWhatTheKernelCantWatch) {
  EventSet set;
  short watched = 0;
  EXPECT_FALSE(set.want(-1, watched, POLLIN, kData).ok());
  EXPECT_EQ(watched, 0);
}

// Near deadlines, and far ones, which set the alarm. It wakes the loop for nothing if the deadline is another one by
// then.
TEST(EventSet, GivesUpAtTheDeadlineAndNotBefore) {
  EventSet set;
  for (const auto time : {milliseconds(5), milliseconds(150), milliseconds(5)}) {
    const auto deadline = Clock::now() + time;
    EXPECT_TRUE(set.wait(deadline).empty());
    EXPECT_GE(Clock::now(), deadline);
  }
  Pair pair;
  short watched = 0;
  ASSERT_TRUE(set.want(pair.here.get(), watched, POLLIN, kData).ok());
  EXPECT_EQ(::send(pair.there.get(), "x", 1, 0), 1);
  const auto first = Clock::now() + milliseconds(200);
  EXPECT_EQ(set.wait(first).size(), 1U) << "sets the alarm";
  ASSERT_TRUE(set.want(pair.here.get(), watched, 0, kData).ok());
  const auto deadline = first + milliseconds(50);
  EXPECT_TRUE(set.wait(deadline).empty());
  EXPECT_GE(Clock::now(), first);
  while (Clock::now() < deadline) EXPECT_TRUE(set.wait(deadline).empty());
}

}  // namespace
}  // namespace hostcall::cli::guest
