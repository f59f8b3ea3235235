// Watches that hold much or fall behind: snapshots, limits, and readers that are slow.
#include <algorithm>
#include <map>

#include "hostcall/v1/diagnostics.hostcall.h"
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

TEST_F(StoreWatchLimitsTest, ASnapshotIsChargedUntilItIsTaken) {
  const auto caller = guest("web1"), host = admin();
  std::uint64_t bytes = 0;
  for (int i = 10; i < 22; ++i) {
    const auto key = "/vm/web1/" + std::to_string(i);
    put(*host, key, std::string(40 * kKiB, 'v'));
    bytes += key.size() + 40 * kKiB;
  }
  const auto stream = start<Watch>(*caller, snapshot_request("/self/"));
  const auto held = used("web1", Resource::kMemory);
  EXPECT_GT(held, 0u);
  EXPECT_LT(held, bytes) << "the window is full";
  put(*host, "/vm/web1/10", "changed meanwhile");
  std::vector<std::string> keys;
  v1::WatchResponse message;
  do {
    message = next(*caller, stream);
    for (const auto& key : keys_of(message)) keys.push_back(key);
    EXPECT_EQ(message.snapshot_complete(), message.revision() != 0);
  } while (!message.snapshot_complete() && !HasFailure());
  EXPECT_EQ(keys.size(), 12u);
  EXPECT_TRUE(std::ranges::is_sorted(keys));
  EXPECT_EQ(message.revision(), 12);
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
  EXPECT_EQ(next(*caller, stream).events(0).item().value(), "changed meanwhile");
}

TEST_F(StoreWatchLimitsTest, ASnapshotThatDoesNotFitIsRefused) {
  limit("web1", [](Limits& limits) { limits.memory_bytes = limits.message_bytes = 64 * kKiB; });
  const auto caller = guest("web1"), host = admin();
  for (const auto* key : {"/vm/web1/1", "/vm/web1/2"}) put(*host, key, std::string(40 * kKiB, 'v'));
  expect_refused(call<Watch>(*caller, snapshot_request("/self/")).status, Code::kResourceExhausted,
                 "VM \"web1\": the limit memory_bytes (65536) is reached; the snapshot does not fit");
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
  EXPECT_EQ(used("web1", Resource::kWatches), 0u);
  EXPECT_TRUE(next(*caller, start<Watch>(*caller, snapshot_request("/self/1"))).snapshot_complete());
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
  v1::SourceRequest flood;
  flood.set_total_bytes(1'000'000'000);
  flood.set_chunk_bytes(64'000);
  std::vector<std::uint32_t> floods;
  for (int i = 0; i < 3; ++i) floods.push_back(start<v1::Diagnostics::Source>(*caller, flood));
  while (caller->pump()) {
  }
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
  const std::vector<std::string> keys{"/shared/1", "/shared/2", "/shared/3", "/shared/4"};
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

}  // namespace
}  // namespace hostcall::daemon
