// Watches that hold much or fall behind: snapshots, limits, and readers that are slow.
#include <algorithm>
#include <array>
#include <map>

#include "daemon/services/store_watch.h"
#include "tests/support/frames.h"
#include "tests/unit/daemon/services/store_watch_fixture.h"

namespace hostcall::daemon {
namespace {

using test::keys_of;
using test::put_all;
using test::put_request;
using test::snapshot_request;
using test::watch_request;
using v1::Store::Put;
using v1::Store::Txn;
using v1::Store::Watch;

constexpr std::size_t kKiB = 1024;

class StoreWatchLimitsTest : public test::StoreWatchFixture {};

// ---------------------------------------------------------------- snapshots

TEST_F(StoreWatchLimitsTest, ASnapshotComesFirstAndSaysWhereItEnds) {
  const auto caller = guest("web1"), writer = guest("web1");
  auto stream = start<Watch>(*caller, snapshot_request("/self/"));
  auto message = next(*caller, stream);
  EXPECT_TRUE(message.snapshot_complete()) << "a store that was never written";
  EXPECT_EQ(message.revision(), 0);
  put(*writer, "/self/b", "2");
  put(*writer, "/self/a", "1");
  EXPECT_EQ(next(*caller, stream).revision(), 1);
  stream = start<Watch>(*caller, snapshot_request("/self/"));
  message = next(*caller, stream);
  EXPECT_THAT(keys_of(message), testing::ElementsAre("/self/a", "/self/b"));
  EXPECT_EQ(message.snapshot(0).value(), "1");
  EXPECT_EQ(message.revision(), 2);
  EXPECT_TRUE(message.snapshot_complete());
  put(*writer, "/self/a", "3");
  EXPECT_EQ(next(*caller, stream).events(0).item().value(), "3");
  message = next(*caller, start<Watch>(*caller, snapshot_request("/self/none/")));
  EXPECT_TRUE(message.snapshot_complete());
  EXPECT_EQ(message.revision(), 3);
  EXPECT_EQ(message.snapshot_size(), 0);
}

// The caller knows that a watch that it has cancelled is over, so its place is free for the next one, even if both are
// in one write.
TEST_F(StoreWatchLimitsTest, ACancelledWatchGivesItsPlaceToTheNext) {
  using hostcall::test::field;
  const auto caller = guest("web1");
  const auto body =
      field(1, "hostcall.v1.Store") + field(2, "Watch") + field(3, watch_request("/self/").SerializeAsString());
  std::string bytes;
  for (std::uint32_t id = 3; id < 3 + 2 * 400; id += 2)
    bytes += hostcall::test::frame(wire::FrameType::kRequest, id, wire::kRemoteClosed, body) +
             hostcall::test::frame(wire::FrameType::kCancel, id, 0, hostcall::test::be32(1));
  caller->send_raw(bytes);
  settle();
  EXPECT_EQ(rig_.stats.calls, 401u);
  EXPECT_EQ(sum_of(rig_.stats.limits_hit), 0u);
  EXPECT_EQ(used("web1", Resource::kWatches), 0u);
}

TEST_F(StoreWatchLimitsTest, WhatASnapshotKeepsIsChargedUntilItIsTaken) {
  const auto caller = guest("web1"), host = admin();
  for (int i = 10; i < 22; ++i) put(*host, "/vm/web1/" + std::to_string(i), std::string(40 * kKiB, 'v'));
  const auto stream = start<Watch>(*caller, snapshot_request("/self/"));
  EXPECT_EQ(used("web1", Resource::kMemory), StoreWatch::kOwnBytes) << "the window is full, but nothing is kept";
  put(*host, "/vm/web1/10", "changed after it was sent");
  EXPECT_EQ(used("web1", Resource::kMemory), StoreWatch::kOwnBytes);
  put(*host, "/vm/web1/21", "changed before");
  EXPECT_GT(used("web1", Resource::kMemory), StoreWatch::kOwnBytes + 40 * kKiB);
  std::vector<std::string> keys;
  v1::WatchResponse message;
  do {
    message = next(*caller, stream);
    for (const auto& item : message.snapshot()) EXPECT_EQ(item.value().size(), 40 * kKiB) << item.key();
    for (const auto& key : keys_of(message)) keys.push_back(key);
    EXPECT_EQ(message.snapshot_complete(), message.revision() != 0);
  } while (!message.snapshot_complete() && !HasFailure());
  EXPECT_EQ(keys.size(), 12u);
  EXPECT_TRUE(std::ranges::is_sorted(keys));
  EXPECT_EQ(message.revision(), 12);
  EXPECT_EQ(used("web1", Resource::kMemory), StoreWatch::kOwnBytes);
  EXPECT_EQ(next(*caller, stream).events(0).item().value(), "changed after it was sent");
  EXPECT_EQ(next(*caller, stream).events(0).item().value(), "changed before");
  caller->cancel(stream);
  settle();
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
}

TEST_F(StoreWatchLimitsTest, ASnapshotThatMayNotKeepWhatChangesEnds) {
  limit("web1", [](Limits& limits) { limits.memory_bytes = limits.message_bytes = 64 * kKiB; });
  const auto caller = guest("web1"), host = admin();
  for (int i = 10; i < 24; ++i) put(*host, "/vm/web1/" + std::to_string(i), std::string(40 * kKiB, 'v'));
  const auto stream = start<Watch>(*caller, snapshot_request("/self/"));
  put(*host, "/vm/web1/22", "changed");
  put(*host, "/vm/web1/23", "changed");
  EXPECT_EQ(used("web1", Resource::kMemory), StoreWatch::kOwnBytes);
  while (receive<Watch>(*caller, stream)) {
  }
  expect_over(
      *caller, stream, Code::kResourceExhausted,
      "VM \"web1\": the limit memory_bytes (65536) is reached; too much has changed before the snapshot was read");
}

TEST_F(StoreWatchLimitsTest, AWatchItselfIsChargedAsMemory) {
  limit("web1", [](Limits& limits) {
    limits.memory_bytes = limits.message_bytes = 64 * kKiB;
    limits.store_watches = 1000;
  });
  const auto caller = guest("web1");
  std::size_t watches = 0;
  Status status;
  for (; watches < 100; ++watches) {
    const auto stream = start<Watch>(*caller, watch_request("/self/"));
    if (receive<Watch>(*caller, stream)) continue;
    status = finish<Watch>(*caller, stream).status;
    break;
  }
  EXPECT_EQ(watches, 64 * kKiB / StoreWatch::kOwnBytes);
  expect_refused(status, Code::kResourceExhausted, "the limit memory_bytes (65536) is reached");
}

// A turn of the reactor sends so much of all snapshots together.
TEST_F(StoreWatchLimitsTest, SnapshotsTakeTurns) {
  constexpr int kWatches = 8;
  struct Endless final : WatchTurn {
    int turns = 0;
    bool take_turn(std::size_t& work) override {
      ++turns;
      work -= std::min<std::size_t>(work, 64 * kKiB);
      return true;
    }
  };
  std::array<Endless, kWatches> endless;
  WatchTurns turns(rig_.reactor);
  for (auto& one : endless) turns.add(one);
  const auto total = [&] {
    int sum = 0;
    for (const auto& one : endless) sum += one.turns;
    return sum;
  };
  for (auto& one : endless) turns.add(one);  // who waits, waits once
  static_cast<TurnEnd&>(turns).on_turn_end();
  EXPECT_EQ(total(), 4) << "256 KiB";
  static_cast<TurnEnd&>(turns).on_turn_end();
  EXPECT_EQ(total(), 8);
  for (const auto& one : endless) EXPECT_EQ(one.turns, 1) << "each has its turn";
  for (auto& one : endless) turns.remove(one);
}

// ---------------------------------------------------------------- limits

TEST_F(StoreWatchLimitsTest, SaysWhatIsWrongWithARequest) {
  const auto caller = guest("web1");
  constexpr char kBegin[] = "a watch begins with a snapshot or from a revision above 0, not with both";
  expect_refused(call<Watch>(*caller, watch_request("/self/", -1)).status, Code::kInvalidArgument, kBegin);
  auto request = snapshot_request("/self/");
  request.set_from_revision(1);
  expect_refused(call<Watch>(*caller, request).status, Code::kInvalidArgument, kBegin);
  request = watch_request("/self/");
  request.set_progress_interval_ms(99);
  expect_refused(call<Watch>(*caller, request).status, Code::kInvalidArgument,
                 "progress_interval_ms is 99, it must be 0 or at least 100");
  expect_refused(call<Watch>(*caller, watch_request("/vm/db1/")).status, Code::kInvalidArgument,
                 "there are no keys at");
}

TEST_F(StoreWatchLimitsTest, WatchesOfAVmAreCounted) {
  limit("web1", [](Limits& limits) { limits.store_watches = 2; });
  auto first = guest("web1");
  const auto caller = guest("web1"), other = guest("db1"), host = admin();
  watch(*first, watch_request("/self/"));
  const auto stream = watch(*caller, watch_request("/self/"));
  expect_refused(call<Watch>(*caller, watch_request("/self/")).status, Code::kResourceExhausted,
                 "VM \"web1\": the limit store_watches (2) is reached; end another watch first");
  for (int i = 0; i < 3; ++i) watch(*host, watch_request("/vm/"));
  watch(*other, watch_request("/self/"));
  EXPECT_EQ(store_.engine().stats().watches, 6u);
  caller->cancel(stream);
  settle();
  watch(*caller, watch_request("/self/"));
  EXPECT_EQ(call<Watch>(*caller, watch_request("/self/")).status.code, Code::kResourceExhausted);
  first.reset();
  settle();
  EXPECT_EQ(used("web1", Resource::kWatches), 1u);
  watch(*caller, watch_request("/self/"));
}

TEST_F(StoreWatchLimitsTest, WhatGoesThroughKeysOrHistoryIsTakenOffTheRate) {
  limit("web1", [](Limits& limits) {
    limits.store_write_rate = 8;
    limits.store_write_burst = 2;
  });
  const auto caller = guest("web1");
  start<Watch>(*caller, snapshot_request("/self/"));
  start<Watch>(*caller, watch_request("/self/", 1));
  for (const auto& request : {snapshot_request("/self/"), watch_request("/self/", 1)}) {
    const auto status = call<Watch>(*caller, request).status;
    expect_refused(status, Code::kResourceExhausted, "store_write_rate (8) is reached; retry in 125 ms");
    EXPECT_EQ(status.retry_after, milliseconds(125));
  }
  watch(*caller, watch_request("/self/"));
}

// ---------------------------------------------------------------- slow readers

// What comes before the greeting is taken is no part of what it tells: whoever resumes behind it would miss that.
TEST_F(StoreWatchLimitsTest, AGreetingThatWaitsTellsWhereTheWatchBegan) {
  const auto caller = guest("web1"), host = admin();
  put(*host, "/vm/web1/k", "before");
  const auto floods = flood(*caller);
  const auto stream = start<Watch>(*caller, watch_request("/self/"));
  EXPECT_EQ(store_.engine().stats().watches, 1u);
  put(*host, "/vm/web1/k", "meanwhile");
  while (caller->pump()) {
  }
  EXPECT_EQ(caller->unread_bytes(stream), 0u) << "the connection's window is used up";
  for (const auto source : floods) caller->cancel(source);
  settle();
  EXPECT_EQ(next(*caller, stream).revision(), 1);
  const auto message = next(*caller, stream);
  EXPECT_EQ(message.revision(), 2);
  EXPECT_EQ(message.events(0).item().value(), "meanwhile");
}

// What fills them may be what another VM has written.
TEST_F(StoreWatchLimitsTest, AMessageWaitsForTheRoomThatOtherConnectionsTake) {
  const auto caller = guest("web1"), host = admin();
  const auto stream = watch(*caller, watch_request("/self/"));
  auto& quota = rig_.vm("web1").quota;
  Charge others(quota, Resource::kOutbound);
  ASSERT_TRUE(others.try_grow(quota.limits().outbound_bytes - 1000));
  put(*host, "/vm/web1/k", std::string(5000, 'v'));
  EXPECT_TRUE(is_quiet(*caller));
  others.shrink(2000);
  EXPECT_TRUE(is_quiet(*caller)) << "not enough";
  EXPECT_EQ(used("web1", Resource::kWatches), 1u) << "it has not ended";
  others.reset();
  settle();
  EXPECT_EQ(next(*caller, stream).events_size(), 1);
}

TEST_F(StoreWatchLimitsTest, AReaderThatIsFarBehindGetsTheLatestOfEachKey) {
  const auto caller = guest("web1"), host = admin();
  const auto stream = watch(*caller, watch_request("/self/"));
  fill_window(*host, "/vm/web1/large");
  std::vector<std::uint32_t> puts;
  for (int i = 0; i < 1001; ++i)
    puts.push_back(host->start(
        Put::kFullName, put_request("/vm/web1/k" + std::to_string(i % 3), std::to_string(i)).SerializeAsString()));
  for (const auto one : puts) finish<Put>(*host, one);
  std::map<std::string, std::string> latest;
  bool coalesced = false;
  v1::WatchResponse message;
  for (std::int64_t seen = 0; seen != 1009 && !HasFailure();) {
    message = next(*caller, stream);
    coalesced = coalesced || message.coalesced();
    if (message.revision() != 0) seen = message.revision();
    for (const auto& event : message.events()) latest[event.item().key()] = event.item().value();
  }
  EXPECT_TRUE(coalesced);
  EXPECT_EQ(latest["/self/k0"], "999");
  EXPECT_EQ(latest["/self/k1"], "1000");
  EXPECT_EQ(latest["/self/k2"], "998");
  put(*host, "/vm/web1/k0", "exact again");
  message = next(*caller, stream);
  EXPECT_FALSE(message.coalesced());
  EXPECT_EQ(message.events(0).item().value(), "exact again");
}

TEST_F(StoreWatchLimitsTest, BehindTheHistoryItEnds) {
  const auto caller = guest("web1"), host = admin();
  const auto stream = watch(*caller, watch_request("/self/"));
  fill_window(*host, "/vm/web1/k");
  const std::vector<std::string> keys{"/vm/web1/1", "/vm/web1/2", "/vm/web1/3", "/vm/web1/4"};
  while (store_.engine().stats().compact_revision < 8) must<Txn>(*host, put_all(keys, std::string(64 * kKiB, 'h')));
  const auto compacted = store_.engine().stats().compact_revision;
  v1::WatchResponse message;
  for (int i = 0; message.compact_revision() == 0 && !HasFailure(); ++i) {
    ASSERT_LT(i, 8) << "what was compacted can't come";
    message = next(*caller, stream);
  }
  EXPECT_EQ(message.compact_revision(), compacted);
  expect_over(*caller, stream, Code::kOutOfRange,
              "changes up to revision " + std::to_string(compacted) + ", which this watch needs, are compacted");
  const auto late = start<Watch>(*caller, watch_request("/self/", compacted));
  EXPECT_EQ(next(*caller, late).revision(), compacted - 1);
  EXPECT_EQ(next(*caller, late).compact_revision(), compacted);
  expect_over(*caller, late, Code::kOutOfRange, "start again with a snapshot");
}

// Each VM has a share of the history for itself.
TEST_F(StoreWatchLimitsTest, OneThatWritesALotEndsNobodyElsesWatch) {
  const auto caller = guest("web1"), other = guest("db1"), host = admin();
  const auto first = put(*other, "/self/k", "1");
  put(*other, "/self/k", "2");
  std::vector<std::uint32_t> puts;
  for (int i = 0; i < 300; ++i)
    puts.push_back(
        host->start(Put::kFullName, put_request("/vm/web1/k", std::string(60'000, 'v')).SerializeAsString()));
  for (const auto one : puts) finish<Put>(*host, one);
  EXPECT_GT(store_.engine().stats().compact_revision, first + 1) << "of the history something is dropped";
  const auto stream = start<Watch>(*other, watch_request("/self/", first));
  next(*other, stream);
  EXPECT_EQ(next(*other, stream).events(0).item().value(), "1");
  EXPECT_EQ(next(*other, stream).events(0).item().value(), "2");
  const auto own = start<Watch>(*caller, watch_request("/self/", first + 2));
  next(*caller, own);
  EXPECT_GT(next(*caller, own).compact_revision(), 0);
  expect_refused(finish<Watch>(*caller, own).status, Code::kOutOfRange, "are compacted");
}

}  // namespace
}  // namespace hostcall::daemon
