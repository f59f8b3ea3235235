// Many watches: what a commit costs them, and those that end while others are called.
#include "tests/support/allocations.h"
#include "tests/support/compare_times.h"
#include "tests/support/sanitized.h"
#include "tests/unit/daemon/store/watch_fixture.h"

namespace hostcall::daemon::store {
namespace {

// When called, ends another watch and starts a new one.
struct Meddler final : Watcher {
  bool keep(std::size_t) override { return true; }
  LocalEngine* engine = nullptr;
  std::unique_ptr<Watch> own, victim, fresh;
  void on_ready() override {
    victim.reset();
    fresh = engine->watch({.prefix = "/vm/a/"}, *this);
    own.reset();
  }
};

TEST_F(WatchTest, WatchesMayEndWhileTheyAreCalled) {
  Meddler meddler;
  meddler.engine = engine.get();
  meddler.own = engine->watch({.prefix = "/vm/a/"}, meddler);
  meddler.victim = watch({.prefix = "/vm/a/"});
  put("/vm/a/x", "1");
  EXPECT_EQ(counter.ready, 0) << "it was gone before its turn";
  EXPECT_EQ(engine->stats().watches, 1u);
  meddler.fresh.reset();
}

// A thousand watches of a prefix.
class Crowd {
 public:
  Crowd() {
    for (int i = 0; i < kWatches; ++i) watches_.push_back(hub_.watch({.prefix = "/vm/a/"}, counter_));
  }
  // Notifies all of them of a commit.
  test::Nanoseconds tell() {
    const auto first = model_.history().end();
    commit(model_, of_vm_a({put_of("/vm/a/x", "1")}));
    counter_.ready = 0;
    const auto time = test::time_of([&] {
      test::forget_allocations();
      hub_.offer(first);
      hub_.notify();
      allocations_ = test::allocations();
    });
    EXPECT_EQ(counter_.ready, kWatches);
    return time;
  }
  // Takes what each was notified of.
  test::Nanoseconds take() {
    return test::time_of([this] {
      for (auto& watch : watches_) EXPECT_EQ(drain(*watch).size(), 1u);
    });
  }
  // Allocations while notifying them of the last commit.
  std::size_t allocations() const { return allocations_; }

 private:
  static constexpr int kWatches = 1000;
  Counter counter_;
  Model model_{HistoryLimits{}};
  WatchHub hub_{model_};
  std::vector<std::unique_ptr<Watch>> watches_;
  std::size_t allocations_ = 0;
};

TEST(WatchCost, ToTellAThousandIsLittleOfWhatTheyTakeToRead) {
  Crowd crowd;
  crowd.tell();  // grows the hub's list to its full size
  EXPECT_TRUE(test::takes_at_most(
      0.2, [&] { return crowd.tell(); }, [&] { return crowd.take(); }));
  EXPECT_EQ(crowd.allocations(), 0u);
}

// Each leaves in constant time, however many others there are.
TEST_F(WatchTest, ManyWatchesEndTogether) {
  if (hostcall::test::kSanitized) GTEST_SKIP() << "a sanitizer's free() costs more the more there is to free";
  const auto end_of = [&](std::size_t count) {
    std::vector<std::unique_ptr<Watch>> watches;
    for (std::size_t i = 0; i < count; ++i) watches.push_back(watch({.prefix = "/vm/a/"}));
    return hostcall::test::time_of([&] {
      for (auto& one : watches) one.reset();
    });
  };
  EXPECT_TRUE(hostcall::test::takes_at_most(
      24, [&] { return end_of(8'000); }, [&] { return end_of(1'000); }));
}

// Whoever is called may end others that are due to be called.
TEST_F(WatchTest, AWatchThatEndsWhileOthersAreCalledIsNotCalled) {
  struct Ender final : Watcher {
    bool keep(std::size_t) override { return true; }
    std::vector<std::unique_ptr<Watch>>* watches = nullptr;
    int calls = 0;
    void on_ready() override {
      ++calls;
      (*watches)[1].reset();
      (*watches)[3].reset();
    }
  } ender;
  std::vector<std::unique_ptr<Watch>> watches;
  ender.watches = &watches;
  for (int i = 0; i < 5; ++i) watches.push_back(engine->watch({.prefix = "/vm/a/"}, ender));
  fill(1);
  EXPECT_EQ(ender.calls, 3);
  watches.clear();
  fill(1);
  EXPECT_EQ(ender.calls, 3);
}

}  // namespace
}  // namespace hostcall::daemon::store
