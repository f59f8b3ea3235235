// Watches: snapshots, and exact delivery.
#include "tests/unit/daemon/store/watch_fixture.h"

namespace hostcall::daemon::store {
namespace {

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

}  // namespace
}  // namespace hostcall::daemon::store
