#include "proto/wire/stream_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "tests/support/allocations.h"
#include "tests/support/seed.h"

namespace hostcall::wire {
namespace {

std::set<std::uint32_t> ids_of(StreamTable& table) {
  std::set<std::uint32_t> ids;
  table.for_each([&](Stream& stream) { ids.insert(stream.id()); });
  return ids;
}

TEST(StreamTable, FindsWhatIsOpenAndNothingElse) {
  StreamTable table;
  EXPECT_EQ(table.find(1), nullptr);
  for (const std::uint32_t id : {1u, 3u, 9u, 11u}) {
    const auto* added = table.add(id, 10, 20);
    EXPECT_EQ(added, table.find(id));
  }
  EXPECT_EQ(table.size(), 4u);
  EXPECT_EQ(table.find(5), nullptr);
  EXPECT_EQ(table.find(13), nullptr);
  table.erase(*table.find(9));
  EXPECT_EQ(table.find(9), nullptr);
  EXPECT_EQ(ids_of(table), (std::set<std::uint32_t>{1, 3, 11}));
}

TEST(StreamTable, GivesStreamsTheirCredit) {
  StreamTable table;
  EXPECT_TRUE(table.add(1, 1, 0)->send_window.open());
  EXPECT_TRUE(table.add(3, 1, 0)->send_window.open());
  EXPECT_FALSE(table.add(5, 0, 1)->send_window.open());
}

// ttrpc-rust gives ids to concurrent calls before it queues them.
TEST(StreamTable, TakesIdsOutOfOrder) {
  StreamTable table;
  for (const std::uint32_t id : {7u, 3u, 1u, 5u}) table.add(id, 0, 0);
  for (const std::uint32_t id : {1u, 3u, 5u, 7u}) ASSERT_NE(table.find(id), nullptr) << id;
  EXPECT_EQ(table.find(5)->id(), 5u);
}

TEST(StreamTable, RefusesAnIdThatItHas) {
  StreamTable table;
  for (const std::uint32_t id : {1u, 3u, 5u, 0xFFFFFFFFu}) ASSERT_NE(table.add(id, 0, 0), nullptr) << id;
  for (const std::uint32_t id : {1u, 3u, 5u, 0xFFFFFFFFu}) EXPECT_EQ(table.add(id, 0, 0), nullptr) << id;
  EXPECT_EQ(table.size(), 4u);
  table.erase(*table.find(1));
  EXPECT_EQ(table.add(3, 0, 0), nullptr) << "also when the place in the table itself is free";
  ASSERT_NE(table.add(1, 0, 0), nullptr);
  table.erase(*table.find(3));
  ASSERT_NE(table.add(3, 0, 0), nullptr) << "an id that is gone is free again";
  EXPECT_EQ(table.size(), 4u);
  EXPECT_EQ(ids_of(table), (std::set<std::uint32_t>{1, 3, 5, 0xFFFFFFFF}));
}

TEST(StreamTable, AgreesWithAMapWhateverComesAndGoes) {
  std::minstd_rand random(test::seed(1));
  StreamTable table;
  std::map<std::uint32_t, Stream*> expected;  // and where each must stay
  std::uint32_t next = 1;
  for (int i = 0; i < 20'000; ++i) {
    // Grows to some hundred, then shrinks to nothing, again and again.
    if (random() % 8 < (i / 1000 % 2 == 0 ? 5u : 2u)) {
      expected[next] = table.add(next, 0, 0);
      next += random() % 2 == 0 ? 2 : 6;
      EXPECT_EQ(table.add(expected.begin()->first, 0, 0), nullptr);
    } else if (!expected.empty()) {
      const auto victim = std::next(expected.begin(), static_cast<long>(random() % expected.size()));
      table.erase(*victim->second);
      EXPECT_EQ(table.find(victim->first), nullptr);
      expected.erase(victim);
    }
    ASSERT_EQ(table.size(), expected.size());
  }
  for (const auto& [id, stream] : expected) EXPECT_EQ(table.find(id), stream);
}

TEST(StreamTable, OneAtATimeAllocatesNothing) {
  StreamTable table;
  test::forget_allocations();
  for (std::uint32_t id = 1; id < 100; id += 2) {
    table.add(id, 0, 0);
    table.erase(*table.find(id));
  }
  EXPECT_EQ(test::largest_allocation(), 0u);
}

}  // namespace
}  // namespace hostcall::wire
