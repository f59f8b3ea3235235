// Waits in the kernel that a peer has prepared do not hold up a turn. Without the nudge these tests take an hour.
#include "daemon/loop/nudge.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <utility>

#include "daemon/loop/reactor.h"
#include "proto/net/socket.h"
#include "tests/support/epoll_waits.h"
#include "tests/support/lingering_socket.h"

namespace hostcall::daemon {
namespace {

constexpr int kAnHour = 3600;

class NudgeTest : public testing::Test {
 protected:
  NudgeTest() {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    ours_ = UniqueFd::adopt(pair[0]);
    peers_ = UniqueFd::adopt(pair[1]);
  }
  void pass_some() {
    for (auto& one : passed_) ASSERT_EQ(one.pass(peers_.get(), 'x'), 0);
  }
  UniqueFd ours_, peers_;
  std::array<test::LingeringSocket, 3> passed_{test::LingeringSocket(kAnHour), test::LingeringSocket(kAnHour),
                                               test::LingeringSocket(kAnHour)};
  Reactor reactor_;
};

// Runs an action when its descriptor is readable.
struct Once final : IoHandler {
  Once(Reactor& reactor, int fd, std::function<void()> what) : reactor_(reactor), fd_(fd), action(std::move(what)) {
    EXPECT_TRUE(reactor.add(fd, kReadable, *this).ok());
  }
  void on_io(std::uint32_t) override {
    reactor_.remove(fd_);
    action();
    reactor_.stop();
  }
  Reactor& reactor_;
  const int fd_;
  std::function<void()> action;
};

TEST_F(NudgeTest, ReadingPassedDescriptorsEnds) {
  pass_some();
  int descriptors = 0;
  Once reader(reactor_, ours_.get(), [&] {
    std::array<char, 16> buffer;
    for (int i = 0; i < 3; ++i) {
      const auto received = net::receive(ours_.get(), buffer);
      ASSERT_TRUE(received.ok());
      EXPECT_EQ(received->bytes, 1u) << "the kernel ends a read behind a message with descriptors";
      descriptors += received->descriptors;
    }
  });
  reactor_.run();
  EXPECT_EQ(descriptors, 3);
}

TEST_F(NudgeTest, ClosingWithUnreadDescriptorsEnds) {
  pass_some();
  Once closer(reactor_, ours_.get(), [&] { ours_.reset(); });
  reactor_.run();
}

TEST_F(NudgeTest, PlainBytesComeWithNoDescriptors) {
  ASSERT_EQ(::send(peers_.get(), "abc", 3, 0), 3);
  std::array<char, 16> buffer;
  const auto received = net::receive(ours_.get(), buffer);
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received->bytes, 3u);
  EXPECT_FALSE(received->descriptors);
}

TEST_F(NudgeTest, ItDoesNotWakeASleeper) {
  Timer timer(reactor_, Callback::to<&Reactor::stop>(&reactor_));
  timer.set(reactor_.now() + 20 * Nudge::kPeriod);
  const auto before = test::epoll_waits();
  reactor_.run();
  EXPECT_LE(test::epoll_waits() - before, 3u);
}

}  // namespace
}  // namespace hostcall::daemon
