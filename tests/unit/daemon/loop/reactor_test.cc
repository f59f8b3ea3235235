// The reactor: real descriptors, real signals; deadlines in their order; nothing dies while it is called.
#include "daemon/loop/reactor.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <random>

#include "tests/support/epoll_waits.h"
#include "tests/support/seed.h"

namespace hostcall::daemon {
namespace {

// Sets timers and stops the loop when the last has fired.
class Recorder {
 public:
  Recorder(Reactor& reactor, std::vector<int>& order, int number, bool last)
      : reactor_(reactor),
        order_(order),
        number_(number),
        last_(last),
        timer(reactor, Callback::to<&Recorder::fired>(this)) {}

 private:
  void fired() {
    order_.push_back(number_);
    if (last_) reactor_.stop();
  }
  Reactor& reactor_;
  std::vector<int>& order_;
  int number_;
  bool last_;

 public:
  Timer timer;
};

TEST(Timer, FiresInTheOrderOfDeadlines) {
  constexpr int kTimers = 499;  // the last is not among those that are taken back
  Reactor reactor;
  std::vector<int> order, expected;
  std::vector<std::unique_ptr<Recorder>> recorders;
  std::vector<int> numbers;
  for (int i = 0; i < kTimers; ++i) numbers.push_back(i);
  std::shuffle(numbers.begin(), numbers.end(), std::mt19937(test::seed(7)));
  const auto begin = reactor.now();
  for (const int number : numbers) {
    recorders.push_back(std::make_unique<Recorder>(reactor, order, number, number == kTimers - 1));
    recorders.back()->timer.set(begin + std::chrono::microseconds(number));
  }
  // A third is taken back or moved to the front.
  for (std::size_t i = 0; i < recorders.size(); ++i) {
    if (numbers[i] % 3 == 1) recorders[i]->timer.cancel();
    if (numbers[i] == 300) recorders[i]->timer.set(begin - seconds(1));
  }
  for (int i = 0; i < kTimers; ++i)
    if (i % 3 != 1 && i != 300) expected.push_back(i);
  expected.insert(expected.begin(), 300);
  reactor.run();
  EXPECT_EQ(order, expected);
}

TEST(Timer, IsUnsetWhenItDies) {
  Reactor reactor;
  std::vector<int> order;
  Recorder last(reactor, order, 2, true);
  {
    Recorder gone(reactor, order, 1, false);
    gone.timer.set(reactor.now());
  }
  last.timer.set(reactor.now() + milliseconds(1));
  reactor.run();
  EXPECT_EQ(order, std::vector<int>{2});
  EXPECT_EQ(last.timer.deadline(), kNever);
}

// Far deadlines are the alarm's, near ones epoll's; neither may be lost when they change places.
TEST(Timer, FiresInTimeHoweverFarItIs) {
  Reactor reactor;
  std::vector<int> order;
  Recorder far(reactor, order, 4, true), further(reactor, order, 9, false), middle(reactor, order, 3, false),
      near(reactor, order, 2, false), gone(reactor, order, 1, false);
  const auto start = Clock::now();
  constexpr auto kFurther = std::chrono::minutes(10);
  further.timer.set(start + kFurther);
  far.timer.set(start + milliseconds(400));
  middle.timer.set(start + milliseconds(250));
  gone.timer.set(start + milliseconds(150));
  near.timer.set(start + milliseconds(5));
  gone.timer.cancel();
  reactor.run();
  EXPECT_EQ(order, (std::vector<int>{2, 3, 4}));
  const auto taken = Clock::now() - start;
  EXPECT_GE(taken, milliseconds(400));
  EXPECT_LT(taken, kFurther) << "each is woken for, not found when the next one is";
}

// Counts how often it is told that its socket is readable, and reads nothing.
class Reader final : public IoHandler, public TurnEnd {
 public:
  Reader(Reactor& reactor, int fd) : reactor_(reactor), fd_(fd) { EXPECT_TRUE(reactor.add(fd, kReadable, *this).ok()); }
  ~Reader() override { deaths++; }
  void on_io(std::uint32_t events) override {
    EXPECT_NE(events & kReadable, 0U);
    ++reads;
    reactor_.at_turn_end(*this);
    reactor_.at_turn_end(*this);
  }
  void on_turn_end() override {
    ++turn_ends;
    EXPECT_EQ(deaths, 0);
    if (reads < 3) return;
    reactor_.remove(fd_);
    reactor_.retire(std::unique_ptr<Reader>(this));
    reactor_.stop();
  }
  static int reads, turn_ends, deaths;

 private:
  Reactor& reactor_;
  int fd_;
};
int Reader::reads = 0, Reader::turn_ends = 0, Reader::deaths = 0;

TEST(Reactor, IsLevelTriggeredAndEndsEachTurnOnce) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  ASSERT_EQ(::write(pair[1], "x", 1), 1);
  Reactor reactor;
  new Reader(reactor, pair[0]);  // retires itself
  reactor.run();
  EXPECT_EQ(Reader::reads, 3);
  EXPECT_EQ(Reader::turn_ends, 3) << "asking twice in a turn is asking once";
  EXPECT_EQ(Reader::deaths, 1);
  ::close(pair[0]);
  ::close(pair[1]);
}

TEST(Reactor, ForgetsWhatIsTakenBack) {
  struct Counter final : TurnEnd {
    void on_turn_end() override { ++count; }
    int count = 0;
  };
  Reactor reactor;
  Counter kept, dropped;
  reactor.at_turn_end(kept);
  reactor.at_turn_end(dropped);
  reactor.forget(dropped);
  std::vector<int> order;
  Recorder stop(reactor, order, 1, true);
  stop.timer.set(reactor.now());
  reactor.run();
  EXPECT_EQ(kept.count, 1);
  EXPECT_EQ(dropped.count, 0);
}

// Asks again at each end of a turn, as a connection does whose client reads as fast as it is written to; the thousandth
// time it stops the loop.
class Insatiable final : public TurnEnd {
 public:
  explicit Insatiable(Reactor& reactor) : reactor_(reactor) { reactor.at_turn_end(*this); }
  ~Insatiable() override { reactor_.forget(*this); }
  void on_turn_end() override {
    if (++count == 1000) return reactor_.stop();
    reactor_.at_turn_end(*this);
  }
  int count = 0;

 private:
  Reactor& reactor_;
};

TEST(Reactor, GivesOthersTheirTurnWhateverAsksAgain) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  ASSERT_EQ(::write(pair[1], "x", 1), 1);
  struct Other final : IoHandler {
    void on_io(std::uint32_t) override {
      seen = insatiable->count;
      if (++reads == 3) reactor->stop();
    }
    Reactor* reactor = nullptr;
    Insatiable* insatiable = nullptr;
    int reads = 0, seen = 0;
  };
  Reactor reactor;
  Insatiable insatiable(reactor);
  Other other;
  other.reactor = &reactor;
  other.insatiable = &insatiable;
  ASSERT_TRUE(reactor.add(pair[0], kReadable, other).ok());
  reactor.run();
  EXPECT_EQ(other.seen, 2) << "once a turn";
  ::close(pair[0]);
  ::close(pair[1]);
}

// What is put off to the next turn is not put off until something comes.
TEST(Reactor, DoesNotSleepBeforeWhatWasPutOff) {
  Reactor reactor;
  Insatiable insatiable(reactor);
  std::vector<int> order;
  Recorder alarm(reactor, order, 1, true);
  alarm.timer.set(reactor.now() + std::chrono::minutes(3));
  reactor.run();
  EXPECT_EQ(insatiable.count, 1000);
  EXPECT_TRUE(order.empty()) << "nothing else has woken it";
}

TEST(Reactor, TurnsSignalsIntoCalls) {
  Reactor reactor;
  int calls = 0;
  reactor.on_signal(SIGUSR1, [&] {
    if (++calls == 2) return reactor.stop();
    ::kill(::getpid(), SIGUSR1);
  });
  ::kill(::getpid(), SIGUSR1);
  reactor.run();
  EXPECT_EQ(calls, 2);
}

// A socket pair whose other end answers at once, so many times.
class Echoing final : public IoHandler {
 public:
  Echoing(Reactor& reactor, int in, int out, int rounds) : reactor_(reactor), in_(in), out_(out), rounds_(rounds) {
    EXPECT_TRUE(reactor.add(in, kReadable, *this).ok());
  }
  void on_io(std::uint32_t) override {
    char byte;
    EXPECT_EQ(::read(in_, &byte, 1), 1);
    if (--rounds_ == 0) return reactor_.stop();
    EXPECT_EQ(::write(out_, "x", 1), 1);
  }

 private:
  Reactor& reactor_;
  int in_, out_, rounds_;
};

TEST(ReactorBusyPoll, EventsComeAllTheSame) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  ASSERT_EQ(::write(pair[1], "x", 1), 1);
  Reactor reactor;
  reactor.set_busy_poll(milliseconds(1));
  Echoing echoing(reactor, pair[0], pair[1], 100);
  reactor.run();
  reactor.remove(pair[0]);
  ::close(pair[0]);
  ::close(pair[1]);
}

TEST(ReactorBusyPoll, IsNeverPastTheNextTimer) {
  int in[2], out[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, in), 0);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, out), 0);
  ASSERT_EQ(::write(in[1], "x", 1), 1);
  Reactor reactor;
  reactor.set_busy_poll(std::chrono::hours(1));
  Echoing echoing(reactor, in[0], out[0], 100);  // nobody answers: it looks in vain
  std::vector<int> order;
  Recorder last(reactor, order, 1, true);
  const auto begin = Clock::now();
  last.timer.set(begin + milliseconds(5));
  reactor.run();
  EXPECT_GE(Clock::now() - begin, milliseconds(5));
  EXPECT_EQ(order, std::vector<int>{1});
  reactor.remove(in[0]);
  for (const int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
}

// A far deadline comes by a descriptor, and is no reason to look for input all the same.
TEST(ReactorBusyPoll, BurnsNothingAfterATimer) {
  Reactor reactor;
  reactor.set_busy_poll(std::chrono::hours(1));
  std::vector<int> order;
  Recorder first(reactor, order, 1, false), last(reactor, order, 2, true);
  const auto now = Clock::now();
  first.timer.set(now + milliseconds(150));
  last.timer.set(now + milliseconds(450));
  const auto before = test::epoll_waits();
  reactor.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_LE(test::epoll_waits() - before, 10u) << "a few for each timer; looking in between takes many";
}

TEST(ReactorBusyPoll, BurnsNothingWhereNothingComes) {
  Reactor reactor;
  reactor.set_busy_poll(milliseconds(1));
  std::vector<int> order;
  std::vector<std::unique_ptr<Recorder>> wakes;
  const auto begin = Clock::now();
  // A hundred turns with nothing to do but a timer each.
  for (int i = 0; i < 100; ++i) {
    wakes.push_back(std::make_unique<Recorder>(reactor, order, i, i == 99));
    wakes.back()->timer.set(begin + i * milliseconds(3));
  }
  const auto before = test::epoll_waits();
  reactor.run();
  EXPECT_EQ(order.size(), 100u);
  EXPECT_LE(test::epoll_waits() - before, 110u) << "one for each timer; if it looked in every turn, two and more";
}

}  // namespace
}  // namespace hostcall::daemon
