// The reactor by a time that the test moves: deadlines are met to the nanosecond, and nothing waits for the real time.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "daemon/loop/reactor.h"
#include "tests/support/manual_time.h"

namespace hostcall::daemon {
namespace {

constexpr nanoseconds kTick{1};

class ReactorTimeTest : public testing::Test {
 protected:
  // Notes its number when its time has come.
  class Clockwork {
   public:
    Clockwork(ReactorTimeTest& test, int number, TimePoint deadline, std::function<void()> action = {})
        : test_(test),
          number_(number),
          action_(std::move(action)),
          timer(test.reactor_, Callback::to<&Clockwork::fire>(this)) {
      timer.set(deadline);
    }

   private:
    void fire() {
      test_.fired_.push_back(number_);
      if (action_) action_();
    }
    ReactorTimeTest& test_;
    int number_;
    std::function<void()> action_;

   public:
    Timer timer;
  };
  void advance(Duration time) {
    time_.advance(time);
    reactor_.run_ready();
  }

  hostcall::test::ManualTime time_;
  Reactor reactor_{time_};
  const TimePoint begin_ = time_.now();
  std::vector<int> fired_;
};

TEST_F(ReactorTimeTest, ATimerFiresWhenItsTimeHasComeAndOnce) {
  const Clockwork clockwork(*this, 1, begin_ + seconds(10));
  reactor_.run_ready();
  advance(seconds(10) - kTick);
  EXPECT_EQ(fired_, std::vector<int>{});
  EXPECT_EQ(clockwork.timer.deadline(), begin_ + seconds(10));
  advance(kTick);
  EXPECT_EQ(fired_, std::vector<int>{1});
  EXPECT_EQ(clockwork.timer.deadline(), kNever);
  advance(seconds(1000));
  EXPECT_EQ(fired_, std::vector<int>{1});
}

TEST_F(ReactorTimeTest, OfALongTimeEachDeadlineIsMetInItsOrder) {
  const Clockwork third(*this, 3, begin_ + seconds(3)), first(*this, 1, begin_ + seconds(1)),
      never(*this, 9, begin_ + std::chrono::hours(1)), second(*this, 2, begin_ + seconds(2));
  advance(seconds(5));
  EXPECT_EQ(fired_, (std::vector<int>{1, 2, 3}));
}

TEST_F(ReactorTimeTest, ATimerMayMoveOthersAndItself) {
  Clockwork cancelled(*this, 8, begin_ + seconds(1) + kTick), moved(*this, 2, begin_ + seconds(9));
  Clockwork* self = nullptr;
  Clockwork clockwork(*this, 1, begin_ + seconds(1), [&] {
    cancelled.timer.cancel();
    moved.timer.set(reactor_.now());
    self->timer.set(reactor_.now() + kTick);
  });
  self = &clockwork;
  advance(seconds(2));
  EXPECT_EQ(fired_, (std::vector<int>{1, 2})) << "what is due at once is not put off until the time moves";
  advance(kTick);
  EXPECT_EQ(fired_, (std::vector<int>{1, 2, 1, 2}));
}

// Many timers that are due at once do not delay what else there is to do.
TEST_F(ReactorTimeTest, ATurnRunsOnlySoManyTimers) {
  static constexpr std::size_t kTimers = 2000;
  struct Turns final : TurnEnd {
    void on_turn_end() override {
      fired_by_turn.push_back(fired->size());
      if (fired->size() < kTimers) reactor->at_turn_end(*this);
    }
    Reactor* reactor = nullptr;
    std::vector<int>* fired = nullptr;
    std::vector<std::size_t> fired_by_turn;
  } turns;
  turns.reactor = &reactor_;
  turns.fired = &fired_;
  std::vector<std::unique_ptr<Clockwork>> timers;
  for (std::size_t i = 0; i < kTimers; ++i)
    timers.push_back(std::make_unique<Clockwork>(*this, static_cast<int>(i), begin_ + seconds(1)));
  reactor_.at_turn_end(turns);
  advance(seconds(1));
  EXPECT_EQ(fired_.size(), kTimers);
  std::size_t before = 0;
  for (const auto fired : turns.fired_by_turn) EXPECT_LE(fired - std::exchange(before, fired), 300u);
  EXPECT_GT(turns.fired_by_turn.size(), 6u);
}

TEST_F(ReactorTimeTest, ATurnHasOneTime) {
  std::vector<TimePoint> seen;
  const auto look = [&] {
    seen.push_back(reactor_.now());
    time_.advance(seconds(1));
  };
  const Clockwork first(*this, 1, begin_ + seconds(1), look), second(*this, 2, begin_ + seconds(1), look);
  const Clockwork third(*this, 3, begin_ + seconds(3), look);
  advance(seconds(1));
  EXPECT_EQ(seen, (std::vector<TimePoint>{begin_ + seconds(1), begin_ + seconds(1), begin_ + seconds(3)}));
}

TEST_F(ReactorTimeTest, WhatIsReadyIsDoneAndNothingAwaited) {
  struct Reader final : IoHandler, TurnEnd {
    void on_io(std::uint32_t) override {
      char byte;
      reads += static_cast<int>(::read(fd, &byte, 1));
      reactor->at_turn_end(*this);
    }
    void on_turn_end() override {
      if (++turn_ends % 5 != 0) reactor->at_turn_end(*this);
    }
    Reactor* reactor = nullptr;
    int fd = -1, reads = 0, turn_ends = 0;
  };
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  Reader reader;
  reader.reactor = &reactor_;
  reader.fd = pair[0];
  ASSERT_TRUE(reactor_.add(pair[0], kReadable, reader).ok());
  const Clockwork far(*this, 1, begin_ + std::chrono::hours(1));
  reactor_.run_ready();
  EXPECT_EQ(reader.reads, 0);
  ASSERT_EQ(::write(pair[1], "abc", 3), 3);
  reactor_.run_ready();
  EXPECT_EQ(reader.reads, 3) << "as long as there is something";
  EXPECT_EQ(reader.turn_ends, 5) << "also what was put off to the next turn";
  EXPECT_TRUE(fired_.empty());
  reactor_.remove(pair[0]);
  for (const int fd : pair) ::close(fd);
}

}  // namespace
}  // namespace hostcall::daemon
