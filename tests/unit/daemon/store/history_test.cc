// History: order, limits, compaction by whole revisions, and links from a change to the next one of its key.
#include "daemon/store/history.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace hostcall::daemon::store {
namespace {

Event change(std::string_view key, Revision revision, Ref previous = nullptr, std::string_view value = "v") {
  return {make_record({.key = key, .value = value, .owner = {}, .holder = {}, .mod_revision = revision}),
          std::move(previous)};
}

std::vector<Revision> scanned(const History& history, std::string_view space, History::Position from) {
  std::vector<Revision> revisions;
  history.scan(space, from, [&](History::Position, const History::Entry& entry) {
    revisions.push_back(entry.event.revision());
    return true;
  });
  return revisions;
}

// With room for so many events of this file.
HistoryLimits room_for(std::size_t events, std::size_t share_events = 0) {
  constexpr std::size_t kEvent = 1000;
  return {.bytes = events * kEvent + kEvent / 2, .share = share_events * kEvent + kEvent / 2, .event_bytes = kEvent};
}

TEST(History, IsScannedByNamespace) {
  History history({});
  history.append(change("/shared/a", 1));
  history.append(change("/vm/a/x", 2));
  history.append(change("/shared/b", 3));
  history.append(change("/vm/ab/x", 4));
  EXPECT_EQ(scanned(history, "", 0), (std::vector<Revision>{1, 2, 3, 4}));
  EXPECT_EQ(scanned(history, "/shared/", 0), (std::vector<Revision>{1, 3}));
  EXPECT_EQ(scanned(history, "/vm/a/", 0), (std::vector<Revision>{2}));
  EXPECT_EQ(scanned(history, "/shared/", History::position_of(2)), (std::vector<Revision>{3}));
  EXPECT_EQ(scanned(history, "/vm/none/", 0), (std::vector<Revision>{}));
}

TEST(History, KnowsWhatSupersededAChange) {
  History history({});
  const auto first = change("/shared/a", 1);
  history.append(first);
  history.append(change("/shared/b", 1));
  history.append(change("/shared/a", 7, first.now));
  EXPECT_EQ(history.at(History::position_of(1)).superseded, 7);
  EXPECT_EQ(history.at(History::position_of(1) + 1).superseded, 0);
  EXPECT_EQ(history.at(History::position_of(7)).superseded, 0);
}

TEST(History, ADeletionIsSupersededByANewKeyOfThatName) {
  History history(room_for(2));
  history.append(
      {make_record({.key = "/shared/a", .value = {}, .owner = {}, .holder = {}, .mod_revision = 1, .deleted = true}),
       nullptr});
  history.append(change("/shared/a", 2));
  EXPECT_EQ(history.at(History::position_of(1)).superseded, 2);
  history.append(change("/shared/b", 3));
  history.trim();
  history.append(change("/shared/a", 4));
  EXPECT_EQ(history.at(History::position_of(2)).superseded, 4) << "also when what was before is dropped";
}

TEST(History, DropsWholeRevisionsOfOneNamespace) {
  History history(room_for(3));
  for (const auto* key : {"/shared/a", "/shared/b", "/vm/a/c"}) history.append(change(key, 1));
  history.trim();
  EXPECT_EQ(history.size(), 3u);
  EXPECT_EQ(history.compact_revision("/shared/"), 0);
  history.append(change("/shared/a", 2));
  history.trim();
  EXPECT_EQ(history.size(), 2u);
  EXPECT_EQ(history.compact_revision("/shared/"), 1);
  EXPECT_EQ(history.compact_revision("/vm/a/"), 0) << "the others keep theirs";
  EXPECT_EQ(history.compact_revision(""), 1) << "who sees all has missed that";
  EXPECT_EQ(history.compact_revision("/vm/b/"), 0);
  EXPECT_EQ(scanned(history, "/vm/a/", 0), (std::vector<Revision>{1}));
  EXPECT_EQ(scanned(history, "/shared/", 0), (std::vector<Revision>{2}));
  EXPECT_EQ(scanned(history, "", 0), (std::vector<Revision>{1, 2}));
  EXPECT_EQ(history.unsaved().dropped,
            (std::vector<History::Position>{History::position_of(1), History::position_of(1) + 1}));
}

TEST(History, CountsTheBytesOfAllThatItNames) {
  History history({.bytes = 50, .share = 0, .event_bytes = 0});
  const auto first = change("/shared/a", 1, nullptr, "12345678901");  // 20 bytes
  history.append(first);
  EXPECT_EQ(history.bytes(), 20u);
  history.append(change("/shared/a", 2, first.now, "1"));  // 10, and 20 again
  history.trim();
  EXPECT_EQ(history.bytes(), 50u);
  EXPECT_EQ(history.size(), 2u);
  history.append(change("/shared/b", 3, nullptr, ""));
  history.trim();
  EXPECT_EQ(history.bytes(), 39u);
  EXPECT_EQ(history.bytes_of("/shared/"), 39u);
  EXPECT_EQ(history.compact_revision("/shared/"), 1);
}

TEST(History, OneThatWritesALotUsesUpNobodysShare) {
  History history(room_for(10, 2));
  Revision revision = 0;
  for (int i = 0; i < 2; ++i) history.append(change("/vm/quiet/k", ++revision));
  for (int i = 0; i < 100; ++i) {
    history.append(change("/vm/loud/k", ++revision));
    history.trim();
  }
  EXPECT_EQ(scanned(history, "/vm/quiet/", 0).size(), 2u);
  EXPECT_EQ(scanned(history, "/vm/loud/", 0).size(), 8u) << "it uses what the others leave";
  EXPECT_EQ(history.compact_revision("/vm/quiet/"), 0);
}

TEST(History, WhoIsFurthestAboveItsShareLosesFirst) {
  History history(room_for(10, 1));
  Revision revision = 0;
  for (int i = 0; i < 3; ++i) history.append(change("/vm/some/k", ++revision));
  for (int i = 0; i < 20; ++i) history.append(change("/vm/much/k", ++revision));
  history.trim();
  EXPECT_EQ(scanned(history, "/vm/some/", 0).size(), 3u) << "although its changes are the oldest";
  EXPECT_EQ(scanned(history, "/vm/much/", 0).size(), 7u);
}

TEST(History, SharesHoldEvenIfTogetherTheyAreMoreThanTheWhole) {
  History history(room_for(4, 2));
  Revision revision = 0;
  for (int vm = 0; vm < 5; ++vm)
    for (int i = 0; i < 3; ++i) history.append(change("/vm/" + std::to_string(vm) + "/k", ++revision));
  history.trim();
  for (int vm = 0; vm < 5; ++vm) EXPECT_EQ(scanned(history, "/vm/" + std::to_string(vm) + "/", 0).size(), 2u);
}

TEST(History, AForgottenNamespaceHasNoShareAndLeavesNothingBehind) {
  History history(room_for(4, 3));
  for (Revision revision = 1; revision <= 3; ++revision) history.append(change("/vm/gone/k", revision));
  history.forget("/vm/gone/");
  history.trim();
  EXPECT_EQ(history.size(), 3u) << "while there is room";
  for (Revision revision = 4; revision <= 9; ++revision) history.append(change("/vm/here/k", revision));
  history.trim();
  EXPECT_EQ(history.bytes_of("/vm/gone/"), 0u);
  EXPECT_FALSE(history.unsaved().compactions.at("/vm/gone/").has_value());
  EXPECT_EQ(history.compact_revision("/vm/gone/"), 3) << "of which nobody can be told that nothing is missing";
  EXPECT_EQ(history.compact_revision("/vm/here/"), 5);
  history.append(change("/vm/gone/k", 10));
  EXPECT_EQ(history.compact_revision("/vm/gone/"), 3);
}

TEST(History, WhoWritesAgainHasItsShareAgain) {
  History history(room_for(4, 3));
  history.append(change("/vm/back/k", 1));
  history.forget("/vm/back/");
  history.append(change("/vm/back/k", 2));
  for (Revision revision = 3; revision <= 9; ++revision) history.append(change("/vm/here/k", revision));
  history.trim();
  EXPECT_EQ(scanned(history, "/vm/back/", 0), (std::vector<Revision>{1, 2}));
}

TEST(History, ComesBackFromDiskAsItWas) {
  History before(room_for(3, 1));
  Revision revision = 0;
  for (const auto* key : {"/vm/a/k", "/vm/b/k", "/vm/b/l", "/vm/b/k", "/vm/b/l"})
    before.append(change(key, ++revision));
  before.trim();
  History after(room_for(3, 1));
  after.set_floor(before.floor());
  for (const auto& [space, compaction] : before.unsaved().compactions) after.restore_compaction(space, *compaction);
  before.scan({}, 0, [&](History::Position position, const History::Entry& entry) {
    after.restore(entry.event, position);
    return true;
  });
  for (const auto* space : {"", "/vm/a/", "/vm/b/", "/vm/c/"}) {
    EXPECT_EQ(after.compact_revision(space), before.compact_revision(space)) << space;
    EXPECT_EQ(scanned(after, space, 0), scanned(before, space, 0)) << space;
  }
  EXPECT_EQ(after.bytes(), before.bytes());
  EXPECT_EQ(after.end(), before.end());
}

}  // namespace
}  // namespace hostcall::daemon::store
