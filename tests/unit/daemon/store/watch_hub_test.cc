// Watches: snapshots, exact and coalesced delivery, compaction, resumption after restarts, and what a commit costs
// them.
#include "daemon/store/watch_hub.h"

#include <gtest/gtest.h>

#include "tests/support/allocations.h"
#include "tests/support/compare_times.h"
#include "tests/unit/daemon/store/engine_fixture.h"

namespace hostcall::daemon::store {
namespace {

constexpr std::size_t kPlenty = 1 << 20;

struct Counter final : Watcher {
  int ready = 0;
  void on_ready() override { ++ready; }
};

// "1:/vm/a/x=v/2:/vm/a/x-" for a put at revision 1 and a deletion at 2.
std::string text_of(const Event& event) {
  return std::to_string(event.revision()) + ":" + std::string(event.now->key()) +
         (event.now->deleted() ? "-" : "=" + std::string(event.now->value()));
}

// Takes everything available, as lines.
std::vector<std::string> drain(Watch& watch, std::size_t max_bytes = kPlenty) {
  std::vector<std::string> lines;
  for (;;) {
    const auto delivery = watch.next(max_bytes);
    if (delivery.kind == Delivery::Kind::kNothing) return lines;
    if (delivery.kind == Delivery::Kind::kCompacted) {
      lines.push_back("compacted " + std::to_string(delivery.compact_revision));
      return lines;
    }
    std::string line = delivery.kind == Delivery::Kind::kSnapshot    ? "snapshot"
                       : delivery.kind == Delivery::Kind::kCoalesced ? "coalesced"
                                                                     : "events";
    line += " " + std::to_string(delivery.revision);
    for (const auto& item : delivery.items) line += " " + std::string(item->key());
    for (const auto& event : delivery.events) line += " " + text_of(event);
    lines.push_back(line);
    watch.taken();
  }
}

using Lines = std::vector<std::string>;

class WatchTest : public EngineTest {
 protected:
  std::unique_ptr<Watch> watch(const WatchOptions& options) { return engine->watch(options, counter); }
  void fill(int count, const std::string& key = "/vm/a/x") {
    std::vector<std::unique_ptr<Ticket>> tickets;
    for (int i = 0; i < count; ++i) tickets.push_back(engine->submit(of_vm_a({put_of(key, std::to_string(i))}), {}));
    settle(*engine);
  }
  Counter counter;
};

TEST_F(WatchTest, DeliversEachRevisionOnceWithAllItsEvents) {
  auto all = watch({.prefix = "/vm/a/"});
  EXPECT_EQ(drain(*all), Lines{});
  put("/vm/a/x", "1");
  EXPECT_EQ(counter.ready, 1);
  put("/vm/b/x", "1");
  write(*engine, of_vm_a({put_of("/vm/a/z", "2"), put_of("/vm/b/y", "2"), delete_of("/vm/a/x")}));
  EXPECT_EQ(counter.ready, 1) << "once, until it has said that it has nothing";
  EXPECT_EQ(drain(*all), (Lines{"events 1 1:/vm/a/x=1", "events 3 3:/vm/a/x- 3:/vm/a/z=2"}));
  put("/vm/a/x", "3");
  EXPECT_EQ(counter.ready, 2);
  EXPECT_EQ(drain(*all), Lines{"events 4 4:/vm/a/x=3"});
}

TEST_F(WatchTest, TheSameComesAgainUntilItIsTaken) {
  auto one = watch({.prefix = "/vm/a/x"});
  fill(2);
  EXPECT_EQ(one->next(kPlenty).revision, 1);
  EXPECT_EQ(one->next(kPlenty).revision, 1);
  one->taken();
  EXPECT_EQ(one->next(kPlenty).revision, 2);
  one->taken();
  EXPECT_EQ(one->next(kPlenty).kind, Delivery::Kind::kNothing);
}

TEST_F(WatchTest, EventsHaveWhatWasThereBefore) {
  put("/vm/a/x", "1");
  auto one = watch({.prefix = "/vm/a/x"});
  put("/vm/a/x", "2");
  remove("/vm/a/x");
  put("/vm/a/x", "3");
  EXPECT_EQ(one->next(kPlenty).events.at(0).previous->value(), "1");
  one->taken();
  EXPECT_EQ(one->next(kPlenty).events.at(0).previous->value(), "2");
  one->taken();
  EXPECT_EQ(one->next(kPlenty).events.at(0).previous, nullptr);
}

TEST_F(WatchTest, OnlyWhatThePrefixMeans) {
  auto exact = watch({.prefix = "/vm/a/x"});
  auto below = watch({.prefix = "/vm/a/x/"});
  auto vms = watch({.prefix = "/vm/"});
  auto root = watch({.prefix = "/"});
  for (const auto* key : {"/vm/a/x", "/vm/a/x/y", "/vm/a/xy", "/vm/b/x", "/shared/x"}) put(key, "");
  EXPECT_EQ(drain(*exact), Lines{"events 1 1:/vm/a/x="});
  EXPECT_EQ(drain(*below), Lines{"events 2 2:/vm/a/x/y="});
  EXPECT_EQ(drain(*vms).size(), 4u);
  EXPECT_EQ(drain(*root).size(), 5u);
}

TEST_F(WatchTest, AnIdleWatchIsNotLeftBehindByOthers) {
  open({.events = 10});
  auto one = watch({.prefix = "/vm/b/"});
  fill(50);
  EXPECT_EQ(one->next(kPlenty).revision, 50) << "nothing is missing up to now";
  EXPECT_EQ(counter.ready, 0);
  put("/vm/b/x", "1");
  EXPECT_EQ(drain(*one), Lines{"events 51 51:/vm/b/x=1"});
}

TEST_F(WatchTest, ASnapshotIsOfOneRevisionAndThenEventsFollow) {
  for (const auto* key : {"/vm/a/1", "/vm/a/2", "/vm/a/3", "/vm/b/1"}) put(key, "12");
  EXPECT_EQ(engine->snapshot_bytes("/vm/a/"), 27u);
  auto all = watch({.prefix = "/vm/a/", .snapshot = true});
  EXPECT_EQ(all->held_bytes(), 27u);
  put("/vm/a/2", "new");
  remove("/vm/a/3");
  auto part = all->next(18);
  ASSERT_EQ(part.items.size(), 2u);
  EXPECT_EQ(part.revision, 0);
  all->taken();
  EXPECT_EQ(all->held_bytes(), 9u);
  part = all->next(18);
  ASSERT_EQ(part.items.size(), 1u);
  EXPECT_EQ(part.items[0]->value(), "12") << "as it was";
  EXPECT_EQ(part.revision, 4);
  all->taken();
  EXPECT_EQ(all->held_bytes(), 0u);
  EXPECT_EQ(drain(*all), (Lines{"events 5 5:/vm/a/2=new", "events 6 6:/vm/a/3-"}));
}

TEST_F(WatchTest, AnEmptySnapshotIsToldToo) {
  auto all = watch({.prefix = "/vm/a/", .snapshot = true});
  EXPECT_EQ(drain(*all), Lines{"snapshot 0"});
  put("/vm/a/x", "1");
  EXPECT_EQ(counter.ready, 1);
}

TEST_F(WatchTest, FromARevision) {
  fill(5);
  put("/vm/b/x", "");
  EXPECT_EQ(drain(*watch({.prefix = "/vm/a/", .from_revision = 4})),
            (Lines{"events 4 4:/vm/a/x=3", "events 5 5:/vm/a/x=4"}));
  EXPECT_EQ(drain(*watch({.prefix = "/vm/a/", .from_revision = 6})), Lines{});
  EXPECT_EQ(drain(*watch({.prefix = "/vm/a/", .from_revision = 7})), Lines{});
  EXPECT_EQ(watch({.prefix = "/vm/a/", .from_revision = 8}), nullptr) << "that is the future";
}

TEST_F(WatchTest, ResumesOverARestart) {
  fill(3);
  remove("/vm/a/x");
  open();
  auto all = watch({.prefix = "/vm/a/", .from_revision = 2});
  const auto first = all->next(kPlenty);
  ASSERT_EQ(first.events.size(), 1u);
  EXPECT_EQ(first.events[0].previous->value(), "0") << "its predecessor is in the history";
  put("/vm/a/y", "");
  EXPECT_EQ(drain(*all),
            (Lines{"events 2 2:/vm/a/x=1", "events 3 3:/vm/a/x=2", "events 4 4:/vm/a/x-", "events 5 5:/vm/a/y="}));
}

TEST_F(WatchTest, CompactedIsSaid) {
  open({.events = 10});
  fill(30);
  EXPECT_EQ(drain(*watch({.prefix = "/vm/a/", .from_revision = 20})), Lines{"compacted 20"});
  EXPECT_EQ(drain(*watch({.prefix = "/vm/a/", .from_revision = 21})).size(), 10u);
  auto slow = watch({.prefix = "/vm/a/"});
  fill(11);
  EXPECT_EQ(drain(*slow), Lines{"compacted 31"}) << "in one batch, larger than the whole history";
}

TEST_F(WatchTest, FarBehindGetsTheLatestOfEachKey) {
  auto slow = watch({.prefix = "/vm/a/"});
  fill(static_cast<int>(kMaxBehind));
  put("/vm/a/y", "1");
  remove("/vm/a/x");
  put("/vm/b/x", "");
  const auto last = std::to_string(kMaxBehind + 1);
  EXPECT_EQ(drain(*slow), (Lines{"coalesced 1003 " + last + ":/vm/a/y=1 1002:/vm/a/x-"}));
  put("/vm/a/x", "2");
  EXPECT_EQ(drain(*slow), Lines{"events 1004 1004:/vm/a/x=2"}) << "and then every change again";
}

TEST_F(WatchTest, AKeyThatCameBackIsCoalescedOnce) {
  auto slow = watch({.prefix = "/vm/a/"});
  fill(static_cast<int>(kMaxBehind));
  remove("/vm/a/x");
  put("/vm/a/x", "back");
  EXPECT_EQ(drain(*slow), Lines{"coalesced 1002 1002:/vm/a/x=back"});
}

TEST_F(WatchTest, AThousandBehindIsStillExact) {
  auto slow = watch({.prefix = "/vm/a/"});
  fill(static_cast<int>(kMaxBehind));
  fill(2000, "/vm/b/x");  // outside the watch's prefix: these do not count
  EXPECT_EQ(drain(*slow).size(), kMaxBehind);
}

TEST_F(WatchTest, ACoalescedSetIsOfOneRevisionAndComesInParts) {
  auto slow = watch({.prefix = "/vm/a/"});
  fill(1200);
  put("/vm/a/1", "");
  put("/vm/a/2", "");
  put("/vm/a/3", "");
  auto part = slow->next(1);
  EXPECT_EQ(part.kind, Delivery::Kind::kCoalesced);
  EXPECT_EQ(part.revision, 0);
  ASSERT_EQ(part.events.size(), 1u);
  EXPECT_EQ(text_of(part.events[0]), "1200:/vm/a/x=1199");
  // Changes that arrive during the set are not mixed into it, even for its own keys.
  put("/vm/a/2", "later");
  slow->taken();
  EXPECT_EQ(drain(*slow, 14), (Lines{"coalesced 0 1201:/vm/a/1= 1202:/vm/a/2=", "coalesced 1203 1203:/vm/a/3=",
                                     "events 1204 1204:/vm/a/2=later"}));
}

TEST_F(WatchTest, NothingIsLostBetweenTheLastPartAndTaken) {
  auto slow = watch({.prefix = "/vm/a/"});
  fill(1200);
  EXPECT_EQ(slow->next(kPlenty).revision, 1200);
  put("/vm/a/x", "later");
  slow->taken();
  EXPECT_EQ(drain(*slow), Lines{"events 1201 1201:/vm/a/x=later"});
}

TEST_F(WatchTest, AtTheStartWatchesSeeWhatEndedWithTheSessions) {
  put("/vm/a/session", "1", Lifetime::kSession);
  open();
  EXPECT_EQ(drain(*watch({.prefix = "/vm/a/", .from_revision = 1})),
            (Lines{"events 1 1:/vm/a/session=1", "events 2 2:/vm/a/session-"}));
}

// When called, ends another watch and starts a new one.
struct Meddler final : Watcher {
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

}  // namespace
}  // namespace hostcall::daemon::store
