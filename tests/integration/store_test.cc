// hostcall.v1.Store in a real daemon: who may do what with which key, what ends a key, and that each limit is named
// when it is reached. Watches are in store_watch_test.cc; the engine itself is shown by tests/unit/daemon/store.
#include <algorithm>
#include <map>

#include "hostcall/v1/session.pb.h"
#include "tests/integration/store_guest.h"
#include "tests/support/admin.h"

namespace hostcall::test {
namespace {

using std::chrono::milliseconds;

// ---------------------------------------------------------------- policy

TEST(StorePolicy, TheKeyIsTheResource) {
  DaemonProcess daemon({.policy_json = R"({"rules": [
    {"vms": ["*"], "calls": ["hostcall.v1.Session/*"], "action": "allow"},
    {"vms": ["*"], "calls": ["hostcall.v1.Store/*"], "resources": ["/shared/secret/**"], "action": "deny"},
    {"vms": ["*"], "calls": ["hostcall.v1.Store/Txn"], "action": "allow"},
    {"vms": ["web1"], "calls": ["hostcall.v1.Store/Put"], "resources": ["/shared/*"], "action": "allow"},
    {"vms": ["*"], "calls": ["hostcall.v1.Store/Get", "hostcall.v1.Store/List", "hostcall.v1.Store/Watch"],
     "resources": ["/shared/**"], "action": "allow"}]})"});
  Guest web(daemon.vm_address("web1")), db(daemon.vm_address("db1")), host(daemon.admin_address());
  ASSERT_TRUE(web.put("/shared/a", "1").status.ok());
  ASSERT_TRUE(host.put("/shared/secret/b", "2").status.ok());
  EXPECT_EQ(db.get("/shared/a"), "1");
  expect_refused(db.put("/shared/a", "2"), Code::kPermissionDenied, "/shared/a");
  expect_refused(web.put("/self/a", "2"), Code::kPermissionDenied, "/self/a");
  expect_refused(web.put("/shared/a/b", "2"), Code::kPermissionDenied, "/shared/a/b");
  const auto list = db.list("/shared/");
  ASSERT_EQ(list.items_size(), 1) << "what policy denies is left out";
  EXPECT_EQ(list.items(0).key(), "/shared/a");
  v1::WatchRequest watch;
  watch.set_prefix("/shared/");
  watch.set_snapshot(true);
  const auto stream = db.watch(watch);
  EXPECT_EQ(db.next(stream).snapshot_size(), 1);
  ASSERT_TRUE(host.put("/shared/secret/b", "3").status.ok());
  ASSERT_TRUE(web.put("/shared/c", "4").status.ok());
  EXPECT_EQ(db.next(stream).events(0).item().key(), "/shared/c");
  // A transaction is no way around.
  v1::TxnRequest txn;
  txn.add_compare()->set_key("/shared/secret/b");
  txn.mutable_compare(0)->set_version(0);
  expect_refused(db.wire.call("hostcall.v1.Store/Txn", txn), Code::kPermissionDenied, "/shared/secret/b");
  txn.Clear();
  *txn.add_else_()->mutable_put() = Guest::put_request("/shared/a", "5");
  expect_refused(db.wire.call("hostcall.v1.Store/Txn", txn), Code::kPermissionDenied, "Store/Put");
  EXPECT_EQ(db.get("/shared/a"), "1");
}

TEST(StorePolicy, ARateThatIsUsedUpIsToldOnce) {
  DaemonProcess daemon({.policy_json = R"({"rules": [
    {"vms": ["*"], "calls": ["hostcall.v1.Store/Get"], "resources": ["/self/**"], "action": "allow", "rate": 0.001},
    {"vms": ["*"], "calls": ["*"], "action": "allow"}]})"});
  Guest web(daemon.vm_address("web1"));
  EXPECT_FALSE(web.get("/self/a"));
  v1::GetRequest request;
  request.set_key("/self/a");
  expect_refused(web.wire.call("hostcall.v1.Store/Get", request), Code::kResourceExhausted, "over the rate");
  EXPECT_EQ(counter(daemon, "calls_limited"), 1U);
}

TEST(StoreKeys, WhatIsNoKeyOfTheCallersIsRefusedByEveryMethod) {
  DaemonProcess daemon;
  Guest web(daemon.vm_address("web1")), host(daemon.admin_address());
  ASSERT_TRUE(host.put("/vm/db1/secret", "1").status.ok());
  using namespace std::string_literals;
  for (const auto& key : {"/self/a\0b"s, "/self/\xff"s, "/self/\x7f"s, "/self/../db1/secret"s, "/self//a"s, "/self/."s,
                          "/vm/db1/secret"s, "/vm/web1/a"s, "/self"s, "/shared"s, "self/a"s, ""s}) {
    v1::GetRequest get;
    get.set_key(key);
    v1::DeleteRequest erase;
    erase.set_key(key);
    v1::TxnRequest txn;
    *txn.add_then()->mutable_put() = Guest::put_request(key, "1");
    expect_refused(web.wire.call("hostcall.v1.Store/Get", get), Code::kInvalidArgument, "");
    expect_refused(web.put(key, "1"), Code::kInvalidArgument, "");
    expect_refused(web.wire.call("hostcall.v1.Store/Delete", erase), Code::kInvalidArgument, "");
    expect_refused(web.wire.call("hostcall.v1.Store/Txn", txn), Code::kInvalidArgument, "");
  }
  for (const auto& prefix : {"/"s, "/vm/"s, "/vm/db1/"s, "/self/../"s, "//"s, "/self/\0/"s, ""s}) {
    v1::ListRequest list;
    list.set_prefix(prefix);
    expect_refused(web.wire.call("hostcall.v1.Store/List", list), Code::kInvalidArgument, "");
    expect_refused(web.wire.finish(web.watch(prefix)), Code::kInvalidArgument, "");
  }
  EXPECT_EQ(host.get("/vm/db1/secret"), "1");
}

// ---------------------------------------------------------------- limits

TEST(StoreLimits, AreNamedAndKeptOverARestart) {
  DaemonProcess daemon({.config_json = R"("limits": {"store_keys": 3, "store_bytes": 2048, "store_value_bytes": 1024,
    "store_key_bytes": 32, "store_write_burst": 10000})"});
  {
    Guest web(daemon.vm_address("web1"));
    for (const auto* key : {"/self/a", "/self/b", "/shared/c"}) ASSERT_TRUE(web.put(key, "1").status.ok());
    expect_refused(web.put("/self/d", "1"), Code::kResourceExhausted, "VM \"web1\": the limit store_keys (3)");
    expect_refused(web.put("/self/a", std::string(1025, 'x')), Code::kResourceExhausted, "store_value_bytes (1024)");
    expect_refused(web.put("/self/" + std::string(30, 'k'), "1"), Code::kInvalidArgument, "32");
    ASSERT_TRUE(web.put("/self/a", std::string(1024, 'x')).status.ok());
    expect_refused(web.put("/self/b", std::string(1024, 'x')), Code::kResourceExhausted, "store_bytes (2048)");
    EXPECT_EQ(web.get("/self/b"), "1") << "nothing of it was done";
    Guest db(daemon.vm_address("db1"));
    EXPECT_TRUE(db.put("/self/a", "1").status.ok()) << "another VM has its own limits";
    EXPECT_TRUE(daemon.process().wait_for_error_text("store_keys (3)")) << "the journal names the limit";
  }
  EXPECT_EQ(daemon.stop(), 0);
  daemon.restart();
  Guest web(daemon.vm_address("web1"));
  expect_refused(web.put("/self/d", "1"), Code::kResourceExhausted, "store_keys (3)");
  v1::ListServicesResponse services;
  ASSERT_TRUE(services.ParseFromString(web.wire.call("hostcall.v1.Session/ListServices").payload));
  std::map<std::string, std::uint64_t> left;
  for (const auto& limit : services.limits()) left[limit.name()] = limit.left();
  EXPECT_EQ(left["store_keys"], 0U);
  EXPECT_EQ(left["store_bytes"], 2048U - (10 + 1024) - (10 + 1) - (9 + 1)) << "as the store names keys: /vm/web1/a";
  ASSERT_TRUE(web.erase("/self/b").status.ok());
  EXPECT_TRUE(web.put("/self/d", "1").status.ok());
}

// A transaction pays for each of its two writes.
TEST(StoreLimits, WritesHaveARateAndTransactionsPayForEach) {
  DaemonProcess daemon({.config_json = R"("limits": {"store_write_rate": 1, "store_write_burst": 20})"});
  Guest web(daemon.vm_address("web1"));
  v1::TxnRequest txn;
  for (const auto* key : {"/self/a", "/self/b"}) *txn.add_then()->mutable_put() = Guest::put_request(key, "1");
  const auto begin = std::chrono::steady_clock::now();
  double paid = 0;
  Answer answer;
  while ((answer = web.wire.call("hostcall.v1.Store/Txn", txn)).status.ok()) {
    paid += 2;
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    ASSERT_LE(paid, 20 + passed.count()) << "one more for each second";
  }
  EXPECT_GE(paid, 19);
  expect_refused(answer, Code::kResourceExhausted, "store_write_rate (1)");
  EXPECT_GT(answer.status.retry_after, milliseconds(0));
  EXPECT_EQ(web.get("/self/a"), "1") << "reading is free";
  Guest db(daemon.vm_address("db1"));
  EXPECT_TRUE(db.put("/self/c", "1").status.ok());
}

// Each takes a write's place, so it is refused sooner or later, as a write is.
TEST(StoreLimits, WatchesThatBeginInThePastPayAsWritesDo) {
  DaemonProcess daemon({.config_json = R"("limits": {"store_write_rate": 1, "store_write_burst": 2})"});
  Guest web(daemon.vm_address("web1"));
  ASSERT_TRUE(web.put("/self/a", "1").status.ok());
  for (int watches = 0;; ++watches) {
    ASSERT_LT(watches, 100) << "of which each would be free";
    const auto watch = web.watch("/self/", 1);
    if (web.wire.receive(watch)) continue;
    expect_refused(web.wire.finish(watch), Code::kResourceExhausted, "store_write_rate (1)");
    break;
  }
}

TEST(StoreLimits, WatchesAreCountedAndGivenBack) {
  DaemonProcess daemon({.config_json = R"("limits": {"store_watches": 2})"});
  Guest web(daemon.vm_address("web1"));
  const auto first = web.watch("/self/");
  web.next(first);
  web.next(web.watch("/self/"));
  expect_refused(web.wire.finish(web.watch("/self/")), Code::kResourceExhausted, "store_watches (2)");
  web.wire.cancel(first);
  EXPECT_FALSE(web.get("/self/a")) << "a turn of the daemon later";
  web.next(web.watch("/self/"));
  EXPECT_EQ(daemon.stop(), 0) << "all charges are given back";
}

// ---------------------------------------------------------------- lifetimes

TEST(StoreLifetime, ASessionsKeysGoWithItAndWatchesSeeIt) {
  DaemonProcess daemon;
  Guest host(daemon.admin_address());
  const auto stream = host.watch("/vm/web1/");
  host.next(stream);
  {
    Guest web(daemon.vm_address("web1"));
    ASSERT_TRUE(web.put("/self/here", "1", v1::LIFETIME_SESSION).status.ok());
    EXPECT_EQ(host.next(stream).events(0).kind(), v1::Event::KIND_PUT);
  }
  const auto gone = host.next(stream);
  ASSERT_EQ(gone.events_size(), 1);
  EXPECT_EQ(gone.events(0).kind(), v1::Event::KIND_DELETE);
  EXPECT_EQ(gone.events(0).item().key(), "/vm/web1/here");
}

TEST(StoreLifetime, ABootsKeysGoWithTheNextOneAlsoOverARestart) {
  DaemonProcess daemon;
  {
    Guest web(daemon.vm_address("web1"), "boot-1");
    ASSERT_TRUE(web.put("/self/boot", "1", v1::LIFETIME_BOOT).status.ok());
    ASSERT_TRUE(web.put("/self/kept", "1").status.ok());
  }
  EXPECT_EQ(daemon.stop(), 0);
  daemon.restart();
  Guest host(daemon.admin_address());
  {
    Guest same(daemon.vm_address("web1"), "boot-1");
    EXPECT_EQ(same.get("/self/boot"), "1") << "the daemon was restarted, the guest was not";
  }
  Guest next(daemon.vm_address("web1"), "boot-2");
  EXPECT_TRUE(eventually([&] { return !host.get("/vm/web1/boot"); }));
  EXPECT_EQ(next.get("/self/kept"), "1");
}

TEST(StoreLifetime, WhoeverHasNoBootIdCanNotUseIt) {
  DaemonProcess daemon;
  Guest web(daemon.vm_address("web1"), ""), host(daemon.admin_address());
  expect_refused(web.put("/self/a", "1", v1::LIFETIME_BOOT), Code::kFailedPrecondition, "boot id");
  expect_refused(host.put("/shared/a", "1", v1::LIFETIME_BOOT), Code::kFailedPrecondition, "only a VM boots");
  EXPECT_TRUE(host.put("/shared/a", "1", v1::LIFETIME_SESSION).status.ok());
}

// ---------------------------------------------------------------- reading

TEST(StoreList, PagesShowEveryKeyOnce) {
  DaemonProcess daemon({.config_json = R"("limits": {"store_write_burst": 100000})"});
  Guest web(daemon.vm_address("web1"));
  // Some pages end by their size, some by the limit.
  for (int i = 0; i < 40; ++i)
    ASSERT_TRUE(web.put("/self/big/" + std::to_string(100 + i), std::string(20'000, 'x')).status.ok());
  for (const std::uint32_t limit : {0U, 7U}) {
    std::vector<std::string> keys;
    std::string continuation;
    do {
      const auto page = web.list("/self/big/", limit, continuation);
      EXPECT_FALSE(page.items().empty());
      EXPECT_LE(page.items_size(), limit == 0 ? 40 : 7);
      for (const auto& item : page.items()) keys.push_back(item.key());
      continuation = page.continuation();
    } while (!continuation.empty());
    ASSERT_EQ(keys.size(), 40U);
    EXPECT_TRUE(std::ranges::is_sorted(keys));
    EXPECT_EQ(std::ranges::adjacent_find(keys), keys.end());
  }
  v1::ListRequest request;
  request.set_prefix("/self/");
  request.set_continuation("/shared/x");
  expect_refused(web.wire.call("hostcall.v1.Store/List", request), Code::kOutOfRange, "continuation");
}

// ---------------------------------------------------------------- writing

TEST(StoreTxn, IsAllOrNothingAndBounded) {
  DaemonProcess daemon;
  Guest web(daemon.vm_address("web1"));
  v1::TxnRequest txn;
  *txn.add_then()->mutable_put() = Guest::put_request("/self/a", "1");
  *txn.add_then()->mutable_put() = Guest::put_request("/self/../b", "1");
  expect_refused(web.wire.call("hostcall.v1.Store/Txn", txn), Code::kInvalidArgument, "\"/self/../b\"");
  txn.mutable_then(1)->mutable_put()->set_key("/self/a");
  expect_refused(web.wire.call("hostcall.v1.Store/Txn", txn), Code::kInvalidArgument, "/a");
  EXPECT_FALSE(web.get("/self/a")) << "nothing of them was done";
  txn.Clear();
  for (int i = 0; i < 129; ++i) txn.add_then()->mutable_get()->set_key("/self/a");
  expect_refused(web.wire.call("hostcall.v1.Store/Txn", txn), Code::kInvalidArgument, "128");
  txn.Clear();
  txn.add_then();
  expect_refused(web.wire.call("hostcall.v1.Store/Txn", txn), Code::kInvalidArgument, "get, put or delete");
  txn.Clear();
  txn.add_compare()->set_key("/self/a");
  expect_refused(web.wire.call("hostcall.v1.Store/Txn", txn), Code::kInvalidArgument, "target");
  txn.Clear();
  *txn.add_then()->mutable_put() = Guest::put_request("/self/a", "1", v1::LIFETIME_PERSISTENT, "own");
  expect_refused(web.wire.call("hostcall.v1.Store/Txn", txn), Code::kInvalidArgument, "idempotency key");
}

TEST(StoreWrite, KeepsTheOrderOfACaller) {
  DaemonProcess daemon({.config_json = R"("limits": {"store_write_burst": 100000})"});
  Guest web(daemon.vm_address("web1"));
  std::vector<std::uint32_t> calls;
  for (int i = 0; i < 200; ++i)
    calls.push_back(
        web.wire.start("hostcall.v1.Store/Put", Guest::put_request("/self/a", std::to_string(i)).SerializeAsString()));
  std::int64_t before = 0;
  for (const auto call : calls) {
    const auto revision = revision_of(web.wire.finish(call));
    EXPECT_GT(revision, before);
    before = revision;
  }
  EXPECT_EQ(web.get("/self/a"), "199");
}

TEST(StoreStart, ADamagedFileIsRefusedWithWhatToDo) {
  DaemonProcess daemon;
  {
    Guest web(daemon.vm_address("web1"));
    ASSERT_TRUE(web.put("/self/a", "1").status.ok());
  }
  EXPECT_EQ(daemon.stop(), 0);
  daemon.directory().write("state/store.db", "");
  try {
    daemon.restart();
    FAIL() << "it started with an empty store";
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find("store.db"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace hostcall::test
