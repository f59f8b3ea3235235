// History: order, limits, compaction by whole revisions, and links from a change to the next one of its key.
#include "daemon/store/history.h"

#include <gtest/gtest.h>

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

TEST(History, IsScannedByNamespace) {
  History history({});
  history.append(change("/shared/a", 1));
  history.append(change("/vm/a/x", 2));
  history.append(change("/shared/b", 3));
  history.append(change("/vm/ab/x", 4));
  EXPECT_EQ(scanned(history, "", 0), (std::vector<Revision>{1, 2, 3, 4}));
  EXPECT_EQ(scanned(history, "/shared/", 0), (std::vector<Revision>{1, 3}));
  EXPECT_EQ(scanned(history, "/vm/a/", 0), (std::vector<Revision>{2}));
  EXPECT_EQ(scanned(history, "/shared/", history.find(2)), (std::vector<Revision>{3}));
  EXPECT_EQ(scanned(history, "/vm/none/", 0), (std::vector<Revision>{}));
}

TEST(History, KnowsWhatSupersededAChange) {
  History history({});
  const auto first = change("/shared/a", 1);
  history.append(first);
  history.append(change("/shared/b", 1));
  history.append(change("/shared/a", 7, first.now));
  EXPECT_EQ(history.at(0).superseded, 7);
  EXPECT_EQ(history.at(1).superseded, 0);
  EXPECT_EQ(history.at(2).superseded, 0);
}

TEST(History, ADeletionIsSupersededByANewKeyOfThatName) {
  History history({.events = 2});
  history.append(
      {make_record({.key = "/shared/a", .value = {}, .owner = {}, .holder = {}, .mod_revision = 1, .deleted = true}),
       nullptr});
  history.append(change("/shared/a", 2));
  EXPECT_EQ(history.at(0).superseded, 2);
  history.append(change("/shared/b", 3));
  history.trim();
  history.append(change("/shared/a", 4));
  EXPECT_EQ(history.at(1).superseded, 4) << "also when what was before is dropped";
}

TEST(History, DropsWholeRevisionsAboveTheCount) {
  History history({.events = 3});
  for (const auto* key : {"/shared/a", "/shared/b", "/vm/a/c"}) history.append(change(key, 1));
  history.trim();
  EXPECT_EQ(history.size(), 3u);
  EXPECT_EQ(history.compact_revision(), 0);
  history.append(change("/shared/a", 2));
  history.trim();
  EXPECT_EQ(history.size(), 1u);
  EXPECT_EQ(history.compact_revision(), 1);
  EXPECT_EQ(history.begin(), 3u) << "positions stay";
  EXPECT_EQ(history.find(1), 3u);
  EXPECT_EQ(history.find(3), 4u);
  EXPECT_EQ(scanned(history, "/vm/a/", 0), (std::vector<Revision>{}));
  EXPECT_EQ(scanned(history, "/shared/", 0), (std::vector<Revision>{2}));
}

TEST(History, CountsTheBytesOfAllThatItNames) {
  History history({.events = 100, .bytes = 50});
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
  EXPECT_EQ(history.compact_revision(), 1);
}

}  // namespace
}  // namespace hostcall::daemon::store
