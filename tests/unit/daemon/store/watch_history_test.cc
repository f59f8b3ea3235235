// Watches that are behind: long histories, coalesced delivery, compaction, and resumption after restarts.
#include "tests/unit/daemon/store/watch_fixture.h"

namespace hostcall::daemon::store {
namespace {

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

}  // namespace
}  // namespace hostcall::daemon::store
