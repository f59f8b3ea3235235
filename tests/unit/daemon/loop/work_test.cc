// Work: who works when, and for how long.
#include "daemon/loop/work.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "tests/support/manual_time.h"

namespace hostcall::daemon {
namespace {

using hostcall::test::ManualTime;

// Has so many steps to do, each for the same units, and goes on until it must stop.
class Steps final : public Worker {
 public:
  Steps(Work& work, Share& share, int steps, Units units = 1)
      : work_(work), share_(share), left(steps), units_(units) {}

  void begin() { work_.may_work(share_) ? work() : work_.wait(share_, *this); }
  void work() override {
    while (left > 0) {
      --left;
      on_step();
      if (!work_.spend(share_, units_)) break;
    }
    if (left > 0) work_.wait(share_, *this);
  }
  std::function<void()> on_step = [] {};

 private:
  Work& work_;
  Share& share_;

 public:
  int left;

 private:
  Units units_;
};

class WorkTest : public testing::Test {
 protected:
  // The waiting work of so many turns.
  void turns(int count) {
    for (int i = 0; i < count; ++i) {
      work_.begin_turn(time_.now());
      work_.serve_waiting();
    }
  }
  ManualTime time_;
  Work work_{time_};
};

TEST_F(WorkTest, WhoAsksLittleIsServedAtOnce) {
  Share share;
  Steps few(work_, share, 200);
  few.begin();
  EXPECT_EQ(few.left, 0);
  EXPECT_TRUE(work_.idle());
}

TEST_F(WorkTest, AShareStopsWhenItsUnitsAreUsedAndGoesOnLater) {
  Share share;
  Steps many(work_, share, 5000);
  many.begin();
  EXPECT_EQ(many.left, 5000 - kShareUnits);
  EXPECT_FALSE(work_.idle());
  turns(1);
  EXPECT_LE(many.left, 5000 - kShareUnits - kPhaseUnits + 3) << "alone, it may use the whole phase";
  turns(20);
  EXPECT_EQ(many.left, 0);
  EXPECT_TRUE(work_.idle());
}

TEST_F(WorkTest, NewUnitsComeWithEachTurnAndAreNotSaved) {
  Share share;
  for (int i = 0; i < 10; ++i) work_.begin_turn(time_.now());
  Steps first(work_, share, 1000);
  first.begin();
  EXPECT_EQ(first.left, 1000 - kShareUnits);
}

TEST_F(WorkTest, AllThatWaitHaveTheSameTurns) {
  Share shares[4];
  std::vector<std::unique_ptr<Steps>> steps;
  for (auto& share : shares) {
    steps.push_back(std::make_unique<Steps>(work_, share, 100'000));
    work_.wait(share, *steps.back());
  }
  turns(40);
  for (const auto& one : steps) EXPECT_NEAR(100'000 - one->left, 40 * kPhaseUnits / 4, kShareUnits);
}

TEST_F(WorkTest, MoreWorkersDoNotMakeAShareLarger) {
  Share many, one;
  std::vector<std::unique_ptr<Steps>> steps;
  for (int i = 0; i < 16; ++i) {
    steps.push_back(std::make_unique<Steps>(work_, many, 100'000));
    work_.wait(many, *steps.back());
  }
  Steps single(work_, one, 100'000);
  work_.wait(one, single);
  turns(160);
  int done = 0;
  for (const auto& worker : steps) {
    const int did = 100'000 - worker->left;
    EXPECT_NEAR(did, 160 * kPhaseUnits / 2 / 16, 2 * kShareUnits) << "they take turns among themselves";
    done += did;
  }
  EXPECT_NEAR(done, 100'000 - single.left, 2 * kShareUnits);
}

TEST_F(WorkTest, NobodyOvertakesThoseWhoWaitOnTheSameShare) {
  Share share;
  Steps first(work_, share, 5000), second(work_, share, 10);
  first.begin();
  work_.begin_turn(time_.now());
  EXPECT_FALSE(work_.may_work(share));
  second.begin();
  EXPECT_EQ(second.left, 10);
  turns(2);
  EXPECT_EQ(second.left, 0) << "but the first does not go before it for ever";
  EXPECT_GT(first.left, 0);
}

TEST_F(WorkTest, AShareThatOverspendsPaysBack) {
  Share heavy, light;
  Steps once(work_, heavy, 2, 20 * kShareUnits);
  once.begin();
  EXPECT_EQ(once.left, 1) << "it can't be stopped within a step";
  int turn = 0, heavy_turn = 0;
  once.on_step = [&] { heavy_turn = turn; };
  Steps many(work_, light, 1'000'000);
  work_.wait(light, many);
  for (; turn < 100 && once.left != 0; ++turn) turns(1);
  EXPECT_EQ(once.left, 0);
  EXPECT_NEAR(heavy_turn, 10, 3) << "the other works " << kPhaseUnits / kShareUnits << " times in a turn";
}

TEST_F(WorkTest, WhoWaitsAloneWithDebtsIsNotHeldUp) {
  Share heavy;
  Steps once(work_, heavy, 2, 20 * kShareUnits);
  once.begin();
  turns(1);
  EXPECT_EQ(once.left, 0);
}

TEST_F(WorkTest, APhaseEndsWhoeverWorks) {
  std::vector<Share> shares(100);
  std::vector<std::unique_ptr<Steps>> steps;
  work_.begin_turn(time_.now());
  int begun = 0;
  for (auto& share : shares) {
    steps.push_back(std::make_unique<Steps>(work_, share, 100));
    steps.back()->begin();
    if (steps.back()->left == 0) ++begun;
  }
  EXPECT_EQ(begun, kPhaseUnits / 100);
  turns(1);
  begun = 0;
  for (const auto& one : steps)
    if (one->left == 0) ++begun;
  EXPECT_NEAR(begun, 2 * kPhaseUnits / 100, 1) << "in the order in which they came";
  turns(30);
  EXPECT_TRUE(work_.idle());
}

// Work that costs more than its units say.
TEST_F(WorkTest, APhaseEndsByTimeToo) {
  Share share;
  Steps slow(work_, share, 10'000);
  slow.on_step = [&] { time_.advance(kPhaseTime / 10); };
  slow.begin();
  EXPECT_GT(slow.left, 10'000 - 50);
  EXPECT_FALSE(work_.may_work(share));
  const auto before = slow.left;
  turns(1);
  EXPECT_LT(slow.left, before);
  EXPECT_GT(slow.left, before - 50);
}

// However little it says that it costs: the time counts from the beginning of the turn.
TEST_F(WorkTest, TheFirstLookAtTheClockMayEndAPhase) {
  Share share;
  Steps slow(work_, share, 10'000);
  int steps = 0;
  slow.on_step = [&] {
    ++steps;
    time_.advance(kPhaseTime);
  };
  turns(1);
  work_.wait(share, slow);
  turns(1);
  EXPECT_LE(steps, 16);
  turns(1);
  EXPECT_LE(steps, 32);
  EXPECT_GT(steps, 16) << "but each turn has a beginning of its own";
}

TEST_F(WorkTest, AWorkerWithNothingToDoDoesNotKeepATurnFromEnding) {
  class Idle final : public Worker {
   public:
    Idle(Work& work, Share& share) : work_(work), share_(share) {}
    void work() override {
      ++times;
      work_.wait(share_, *this);
    }
    Work& work_;
    Share& share_;
    int times = 0;
  };
  Share share;
  Idle idle(work_, share);
  work_.wait(share, idle);
  turns(1);
  EXPECT_LE(idle.times, kPhaseUnits);
}

TEST_F(WorkTest, AWorkerThatDiesIsNotCalled) {
  Share share;
  {
    Steps brief(work_, share, 5000);
    work_.wait(share, brief);
  }
  turns(1);
  EXPECT_TRUE(work_.idle());
}

}  // namespace
}  // namespace hostcall::daemon
