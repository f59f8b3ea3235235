// Watches: snapshots, exact and coalesced delivery, compaction, resumption after restarts, and what a commit costs
// them.
#include "daemon/store/watch_hub.h"

#include <gtest/gtest.h>

#include "tests/support/allocations.h"
#include "tests/support/compare_times.h"
#include "tests/support/sanitized.h"
#include "tests/unit/daemon/store/engine_fixture.h"

namespace hostcall::daemon::store {
namespace {

constexpr std::size_t kPlenty = 1 << 20;

struct Counter final : Watcher {
  int ready = 0;
  void on_ready() override { ++ready; }
  bool keep(std::size_t bytes) override {
    if (bytes > may_keep) return false;
    kept = bytes;
    return true;
  }
  std::size_t kept = 0;
  std::size_t may_keep = ~std::size_t{0};
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
    if (delivery.kind == Delivery::Kind::kLooking) continue;
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
  open(room_for_events(10));
  auto one = watch({.prefix = "/vm/b/"});
  fill(50);
  EXPECT_EQ(one->next(kPlenty).revision, 50) << "nothing is missing up to now";
  EXPECT_EQ(counter.ready, 0);
  put("/vm/b/x", "1");
  EXPECT_EQ(drain(*one), Lines{"events 51 51:/vm/b/x=1"});
}

TEST_F(WatchTest, ASnapshotIsOfOneRevisionAndThenEventsFollow) {
  for (const auto* key : {"/vm/a/1", "/vm/a/2", "/vm/a/3", "/vm/b/1"}) put(key, "12");
  auto all = watch({.prefix = "/vm/a/", .snapshot = true});
  EXPECT_EQ(counter.kept, 0u) << "it is read from the store";
  put("/vm/a/2", "new");
  remove("/vm/a/3");
  put("/vm/a/3", "back");
  put("/vm/a/25", "was not there");
  EXPECT_EQ(counter.kept, 2 * (9 + Snapshot::kKeptBytes)) << "what has changed is kept";
  auto part = all->next(18);
  ASSERT_EQ(part.items.size(), 2u);
  EXPECT_EQ(part.items[1]->value(), "12") << "as it was";
  EXPECT_EQ(part.revision, 0);
  EXPECT_FALSE(part.last);
  all->taken();
  EXPECT_EQ(counter.kept, 9 + Snapshot::kKeptBytes) << "and released when it is sent";
  put("/vm/a/1", "after it was sent");
  EXPECT_EQ(counter.kept, 9 + Snapshot::kKeptBytes);
  part = all->next(18);
  ASSERT_EQ(part.items.size(), 1u);
  EXPECT_EQ(part.items[0]->value(), "12") << "as it was";
  EXPECT_EQ(part.revision, 4);
  EXPECT_TRUE(part.last);
  all->taken();
  EXPECT_EQ(counter.kept, 0u);
  EXPECT_EQ(drain(*all), (Lines{"events 5 5:/vm/a/2=new", "events 6 6:/vm/a/3-", "events 7 7:/vm/a/3=back",
                                "events 8 8:/vm/a/25=was not there", "events 9 9:/vm/a/1=after it was sent"}));
}

TEST_F(WatchTest, ASnapshotThatMayNotKeepWhatItNeedsEnds) {
  for (const auto* key : {"/vm/a/1", "/vm/a/2"}) put(key, "12");
  counter.may_keep = 9 + Snapshot::kKeptBytes;
  auto all = watch({.prefix = "/vm/a/", .snapshot = true});
  put("/vm/a/1", "new");
  put("/vm/a/1", "newer");
  EXPECT_EQ(all->next(kPlenty).kind, Delivery::Kind::kSnapshot);
  put("/vm/a/2", "new");
  EXPECT_EQ(all->next(kPlenty).kind, Delivery::Kind::kOverrun);
  EXPECT_EQ(counter.kept, 0u) << "nothing is kept for it any more";
  all->taken();
  EXPECT_EQ(all->next(kPlenty).kind, Delivery::Kind::kOverrun);
}

// A part looks at so many keys at most, and each key of the snapshot is looked at once.
TEST_F(WatchTest, ASnapshotIsReadInParts) {
  std::vector<std::unique_ptr<Ticket>> tickets;
  constexpr std::size_t kKeys = 10'000;
  for (std::size_t i = 0; i < kKeys; i += 100) {
    std::vector<Operation> operations;
    for (std::size_t k = 0; k < 100; ++k) operations.push_back(put_of("/vm/a/" + std::to_string(i + k), ""));
    tickets.push_back(engine->submit(of_vm_a(std::move(operations)), {}));
  }
  settle(*engine);
  auto all = watch({.prefix = "/vm/a/", .snapshot = true});
  std::size_t keys = 0, parts = 0;
  for (Delivery part; !part.last; all->taken(), ++parts) {
    part = all->next(kPlenty);
    EXPECT_LE(part.items.size(), Snapshot::kMaxPartKeys);
    keys += part.items.size();
  }
  EXPECT_EQ(keys, kKeys);
  EXPECT_EQ(parts, kKeys / Snapshot::kMaxPartKeys);
}

TEST_F(WatchTest, WhatIsWrittenDuringASnapshotIsPassedOverInParts) {
  put("/vm/a/9", "old");
  auto all = watch({.prefix = "/vm/a/", .snapshot = true});
  for (int i = 0; i < 20; ++i) {
    std::vector<Operation> operations;
    for (int k = 0; k < 100; ++k) operations.push_back(put_of("/vm/a/1/" + std::to_string(i * 100 + k), ""));
    write(*engine, of_vm_a(std::move(operations)));
  }
  auto part = all->next(kPlenty);
  EXPECT_TRUE(part.items.empty());
  EXPECT_FALSE(part.last);
  std::vector<std::string> keys;
  while (!part.last) {
    part = all->next(kPlenty);
    for (const auto& item : part.items) keys.emplace_back(item->key());
    all->taken();
  }
  EXPECT_EQ(keys, std::vector<std::string>{"/vm/a/9"});
}

TEST_F(WatchTest, ASnapshotBehindTheHistoryEndsAtOnce) {
  open(room_for_events(10));
  put("/vm/a/k", "");
  auto all = watch({.prefix = "/vm/a/", .snapshot = true});
  fill(11);
  EXPECT_EQ(drain(*all), Lines{"compacted 2"});
}

TEST_F(WatchTest, OneNamespaceIsCompactedAndTheOtherIsNot) {
  constexpr std::size_t kEvent = 1'000'000;
  open({.bytes = 10 * kEvent, .share = 2 * kEvent, .event_bytes = kEvent / 2});
  fill(3, "/vm/b/x");
  fill(50);
  EXPECT_EQ(drain(*watch({.prefix = "/vm/b/", .from_revision = 1})).size(), 3u);
  EXPECT_EQ(drain(*watch({.prefix = "/vm/a/", .from_revision = 4})).at(0).substr(0, 9), "compacted");
  EXPECT_EQ(drain(*watch({.prefix = "/vm/", .from_revision = 1})).at(0).substr(0, 9), "compacted");
  const auto compacted = engine->stats().compact_revision;
  put("/vm/a/x", "");  // the disk follows by one commit
  open({.bytes = 10 * kEvent, .share = 2 * kEvent, .event_bytes = kEvent / 2});
  EXPECT_GE(engine->stats().compact_revision, compacted) << "after a restart, too";
  EXPECT_EQ(drain(*watch({.prefix = "/vm/b/", .from_revision = 1})).size(), 3u);
  EXPECT_EQ(drain(*watch({.prefix = "/vm/a/", .from_revision = compacted})).at(0).substr(0, 9), "compacted");
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

// A long history in which nothing concerns the watch is work all the same, and none of it is done before the watch's
// turn.
TEST_F(WatchTest, TellsHowMuchOfTheHistoryItHasLookedAt) {
  fill(100);
  const auto other = watch({.prefix = "/vm/a/none/", .from_revision = 1});
  EXPECT_EQ(other->take_looked_at(), 0u);
  put("/vm/a/none/k", "");
  EXPECT_EQ(other->next(kPlenty).events.size(), 1u);
  EXPECT_GE(other->take_looked_at(), 101u);
  other->taken();
  EXPECT_LE(other->take_looked_at(), 1u);
  EXPECT_EQ(drain(*other), Lines{});
}

// What a watch does in parts in a long history, which would hold up a turn.
class LongHistory : public WatchTest {
 protected:
  static constexpr int kLong = 4 * static_cast<int>(kMaxLook);
  // Of taken() and the next() after it.
  static constexpr std::size_t kMostInAPart = 3 * (kMaxLook + 1);
  void fill_with_others() { fill(kLong, "/vm/a/other"); }
  // What next() delivers when it has found something, after at least one part in which it has not.
  static Delivery found(Watch& watch) {
    int parts = 0;
    for (;; ++parts) {
      auto delivery = watch.next(kPlenty);
      EXPECT_LE(watch.take_looked_at(), kMostInAPart);
      if (delivery.kind == Delivery::Kind::kLooking) continue;
      EXPECT_GT(parts, 0) << "it did not need parts";
      return delivery;
    }
  }
};

TEST_F(LongHistory, IsCountedInParts) {
  put("/vm/a/w/1", "");
  fill_with_others();
  auto late = watch({.prefix = "/vm/a/w/", .from_revision = 2});
  EXPECT_EQ(late->next(kPlenty).kind, Delivery::Kind::kLooking);
  put("/vm/a/w/2", "");
  const auto first = found(*late);
  ASSERT_EQ(first.events.size(), 1u);
  EXPECT_EQ(text_of(first.events[0]), std::to_string(kLong + 2) + ":/vm/a/w/2=");
  late->taken();
  EXPECT_EQ(drain(*late), Lines{}) << "what came meanwhile is counted once";
  put("/vm/a/w/3", "");
  EXPECT_EQ(drain(*late).size(), 1u);
}

TEST_F(LongHistory, IsSearchedInParts) {
  auto slow = watch({.prefix = "/vm/a/w/"});
  put("/vm/a/w/1", "");
  fill_with_others();
  put("/vm/a/w/2", "");
  ASSERT_EQ(slow->next(kPlenty).events.size(), 1u);
  slow->taken();
  EXPECT_EQ(text_of(found(*slow).events.at(0)), std::to_string(kLong + 2) + ":/vm/a/w/2=");
  slow->taken();
  EXPECT_EQ(drain(*slow), Lines{});
}

TEST_F(LongHistory, IsCoalescedInParts) {
  auto slow = watch({.prefix = "/vm/a/w/"});
  fill(static_cast<int>(kMaxBehind) + 1, "/vm/a/w/1");
  fill_with_others();
  put("/vm/a/w/2", "");
  std::vector<std::string> keys;
  int parts = 0;
  for (Revision revision = 0; revision == 0; ++parts) {
    const auto part = slow->next(kPlenty);
    EXPECT_LE(slow->take_looked_at(), kMostInAPart);
    if (part.kind == Delivery::Kind::kLooking) continue;
    ASSERT_EQ(part.kind, Delivery::Kind::kCoalesced);
    for (const auto& event : part.events) keys.emplace_back(event.now->key());
    revision = part.revision;
    slow->taken();
  }
  EXPECT_GT(parts, 1);
  EXPECT_EQ(keys, (Lines{"/vm/a/w/1", "/vm/a/w/2"}));
  EXPECT_EQ(drain(*slow), Lines{});
}

TEST_F(LongHistory, CompactedBeforeAWatchHasCome) {
  open(room_for_events(kLong));
  auto searching = watch({.prefix = "/vm/a/w/"});
  put("/vm/a/w/1", "");
  fill(kLong - 2, "/vm/a/other");
  put("/vm/a/w/2", "");
  auto counting = watch({.prefix = "/vm/a/none/", .from_revision = 1});
  EXPECT_EQ(counting->next(kPlenty).kind, Delivery::Kind::kLooking);
  ASSERT_EQ(searching->next(kPlenty).events.size(), 1u);
  searching->taken();
  fill(kLong - 10, "/vm/a/other");
  const Lines compacted{"compacted " + std::to_string(kLong - 10)};
  EXPECT_EQ(drain(*counting), compacted);
  EXPECT_EQ(drain(*searching), compacted);
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
  open(room_for_events(10));
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
