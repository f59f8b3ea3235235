// Requests that make much of little, above all of the store: each of a few bytes, and with a long answer or much to
// look at; what is kept for a VM; and what one VM can do to the history and the writes of another.
#include "tests/hostile/bursts.h"
#include "tests/hostile/calls.h"
#include "tests/hostile/flood.h"
#include "tests/integration/store_guest.h"

namespace hostcall::test {
namespace {

constexpr std::size_t kManyKeys = 1000, kKeysOfATxn = 100;
constexpr char kLargeKey[] = "/self/large";

// Writes as the host: no rate holds it up.
void write(DaemonProcess& daemon, const v1::TxnRequest& txn) {
  WireClient admin(daemon.admin_address());
  const auto answer = admin.call("hostcall.v1.Store/Txn", txn);
  ASSERT_TRUE(answer.status.ok()) << answer.status.message;
}

void write_many_keys(DaemonProcess& daemon, std::size_t value_bytes) {
  for (std::size_t begin = 0; begin < kManyKeys; begin += kKeysOfATxn) {
    v1::TxnRequest txn;
    for (std::size_t i = begin; i < begin + kKeysOfATxn; ++i)
      *txn.add_then()->mutable_put() = put("/vm/web1/key-" + std::to_string(i), std::string(value_bytes, 'v'));
    write(daemon, txn);
  }
}
void write_small_keys(DaemonProcess& daemon) { write_many_keys(daemon, 100); }
void write_larger_keys(DaemonProcess& daemon) { write_many_keys(daemon, 1000); }

void write_large_key(DaemonProcess& daemon) {
  v1::TxnRequest txn;
  *txn.add_then()->mutable_put() = put("/vm/web1/large", std::string(65'536, 'v'));
  write(daemon, txn);
}

v1::TxnRequest many_gets(std::size_t count) {
  v1::TxnRequest txn;
  for (std::size_t i = 0; i < count; ++i) *txn.add_then()->mutable_get() = get(kLargeKey);
  return txn;
}

v1::TxnRequest many_puts(std::size_t count) {
  v1::TxnRequest txn;
  for (std::size_t i = 0; i < count; ++i) *txn.add_then()->mutable_put() = put("/self/p" + std::to_string(i), "v");
  return txn;
}

Burst calls_of(const std::string& method, const google::protobuf::MessageLite& request = v1::PingRequest()) {
  return block_of_calls([method, payload = request.SerializeAsString()](std::uint32_t stream) {
    return raw_call(stream, method, payload);
  });
}

std::string watches(std::size_t count, bool snapshot) {
  return repeated(count, [&](std::size_t i) {
    return call(static_cast<std::uint32_t>(2 * i + 3), "Store/Watch", watch("/self/", snapshot), wire::kRemoteClosed);
  });
}

// Each connection belongs to a new boot, writes a key of that boot, and ends those of the one before.
std::string boot_with_a_key() {
  static int boots = 0;
  const auto boot = std::to_string(++boots);
  auto request = put("/self/boot-" + boot, std::string(1000, 'b'));
  request.set_lifetime(v1::LIFETIME_BOOT);
  return hello_call(wire::kAllFeatures & ~wire::kFeatureCrc32c, boot) + call(3, "Store/Put", request);
}

// So that the rate of writes is not what holds up a flood of them.
const DaemonOptions kFastWrites{
    .config_json = R"("limits": {"connect_burst": 1000, "store_write_rate": 1000000, "store_write_burst": 1000000})"};

const Flood kFloods[] = {
    {.name = "Metrics", .script = {.burst = calls_of("Host/Metrics")}, .must_come = {"OK"}},
    {.name = "MetricsOfManyConnections",
     .script = {.burst = calls_of("Host/Metrics")},
     .must_come = {"OK"},
     .connections = 16},
    {.name = "Descriptors", .script = {.burst = calls_of("Session/Descriptors")}, .must_come = {"OK"}},
    {.name = "DescriptorsOfManyConnections",
     .script = {.burst = calls_of("Session/Descriptors")},
     .must_come = {"OK"},
     .connections = 16},
    {.name = "Lists",
     .script = {.burst = calls_of("Store/List", list("/self/"))},
     .must_come = {"OK"},
     .prepare = write_small_keys},
    {.name = "ListsOfManyConnections",
     .script = {.burst = calls_of("Store/List", list("/self/"))},
     .must_come = {"OK"},
     .connections = 16,
     .prepare = write_small_keys},
    {.name = "ListsOfKeys",
     .script = {.burst = calls_of("Store/List", list("/self/", true))},
     .must_come = {"OK"},
     .prepare = write_small_keys},
    {.name = "ListsOfKeysOfManyConnections",
     .script = {.burst = calls_of("Store/List", list("/self/", true))},
     .must_come = {"OK"},
     .connections = 16,
     .prepare = write_small_keys},
    // 15 values fit into an answer, 120 do not.
    {.name = "ReadingTransactions",
     .script = {.burst = calls_of("Store/Txn", many_gets(15))},
     .must_come = {"OK"},
     .prepare = write_large_key},
    {.name = "LargeReadingTransactions",
     .script = {.burst = calls_of("Store/Txn", many_gets(120))},
     .must_come = {"OK", "RESOURCE_EXHAUSTED"},
     .connections = 16,
     .prepare = write_large_key},
    {.name = "Puts",
     .script = {.burst = calls_of("Store/Put", put("/self/k", "v"))},
     .must_come = {"OK"},
     .connections = 16},
    {.name = "FastPuts",
     .script = {.burst = calls_of("Store/Put", put("/self/k", std::string(1000, 'v')))},
     .must_come = {"OK"},
     .connections = 16,
     .options = kFastWrites},
    {.name = "IdempotentPuts",
     .script = {.burst = block_of_calls([](auto stream) {
                  return call(stream, "Store/Put", put("/self/k", "v", "once-" + std::to_string(stream)));
                })},
     .must_come = {"OK"},
     .connections = 16,
     .options = kFastWrites},
    {.name = "KeysOfManyBoots",
     .script = {.says_hello = false,
                .burst =
                    [](std::uint32_t& stream) { return std::exchange(stream, 3) == 1 ? boot_with_a_key() : ping(); },
                .pause = std::chrono::milliseconds(1)},
     .must_come = {"OK", "Goaway2", "closed"},
     .may_come = {"Pong", "UNAVAILABLE"},
     .connections = 16,
     .options = kFastWrites},
    {.name = "WatchAndCancel",
     .script = {.burst = block_of_calls([](auto stream) {
                  return call(stream, "Store/Watch", watch("/self/"), wire::kRemoteClosed) + cancel(stream);
                })},
     .must_come = {"OK"},
     .may_come = {"Data"},
     .connections = 16},
    {.name = "SnapshotAndCancel",
     .script = {.burst = block_of_calls([](auto stream) {
                  return call(stream, "Store/Watch", watch("/self/", true), wire::kRemoteClosed) + cancel(stream);
                })},
     .must_come = {"OK"},
     .may_come = {"Data"},
     .connections = 16,
     .prepare = write_small_keys,
     .options = kFastWrites},
    {.name = "SnapshotsNeverRead",
     .script = {.says_hello = false, .opening = watches(8, true), .reads = false},
     .connections = 16,
     .prepare = write_larger_keys,
     .options = kFastWrites},
    {.name = "BlockedWatches",
     .script = {.opening = watches(127, true)},
     .must_come = {"OK", "Data"},
     .is_idle = true,
     .prepare = write_larger_keys,
     .options = kFastWrites},
    {.name = "IdleWatchesWithASnapshot",
     .script = {.says_hello = false, .opening = watches(128, true)},
     .must_come = {"Data"},
     .is_idle = true,
     .prepare = write_small_keys,
     .options = kFastWrites},
};
HOSTCALL_FLOODS(Store, kFloods);

TEST(HostileStore, ATransactionWhoseAnswerNeverFitsIsNotDone) {
  DaemonProcess daemon;
  write_large_key(daemon);
  Guest web(daemon.vm_address("web1"));
  auto txn = many_gets(20);
  *txn.add_then()->mutable_put() = put("/self/done", "v");
  expect_refused(web.wire.call("hostcall.v1.Store/Txn", txn), Code::kResourceExhausted, "outbound_bytes");
  EXPECT_EQ(web.get("/self/done"), std::nullopt);
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(HostileStore, ATransactionIsAsManyWritesAsItHas) {
  DaemonProcess daemon({.config_json = R"("limits": {"store_write_rate": 1, "store_write_burst": 200})"});
  Guest web(daemon.vm_address("web1"));
  EXPECT_TRUE(web.wire.call("hostcall.v1.Store/Txn", many_puts(128)).status.ok());
  expect_refused(web.wire.call("hostcall.v1.Store/Txn", many_puts(128)), Code::kResourceExhausted, "store_write_rate");
  EXPECT_TRUE(web.put("/self/one", "v").status.ok()) << "what was refused has taken nothing";
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(HostileStore, OneVmsWritesUseUpNobodysHistory) {
  DaemonProcess daemon(kFastWrites);
  Guest web(daemon.vm_address("web1")), neighbour(daemon.vm_address("db1"));
  const auto first = revision_of(neighbour.put("/self/k", "first"));
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(web.put("/self/k", std::string(60'000, 'v')).status.ok());
  const auto watch = neighbour.watch("/self/", first);
  auto message = neighbour.next(watch);
  if (message.events_size() == 0) message = neighbour.next(watch);  // the first may only tell where the watch begins
  ASSERT_EQ(message.events_size(), 1);
  EXPECT_EQ(message.events(0).item().value(), "first");
  EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace hostcall::test
