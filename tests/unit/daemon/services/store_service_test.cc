// The store as callers see it: keys, pages, limits, rates and policy.
#include "daemon/services/store_service.h"

#include "tests/unit/daemon/services/store_fixture.h"

namespace hostcall::daemon {
namespace {

using test::delete_request;
using test::get_request;
using test::put_all;
using test::put_request;
using test::WireClient;
using v1::Store::Delete;
using v1::Store::Get;
using v1::Store::List;
using v1::Store::Put;
using v1::Store::Txn;

class StoreServiceTest : public test::StoreServiceFixture {
 protected:
  v1::ListResponse list(WireClient& caller, const std::string& prefix, std::uint32_t limit = 0,
                        const std::string& continuation = {}) {
    return must<List>(caller, list_request(prefix, limit, continuation));
  }
  static v1::ListRequest list_request(const std::string& prefix, std::uint32_t limit = 0,
                                      const std::string& continuation = {}) {
    v1::ListRequest request;
    request.set_prefix(prefix);
    request.set_limit(limit);
    request.set_continuation(continuation);
    return request;
  }
  static std::vector<std::string> keys_of(const v1::ListResponse& page) {
    std::vector<std::string> keys;
    for (const auto& item : page.items()) keys.push_back(item.key());
    return keys;
  }
};

// ---------------------------------------------------------------- one key

TEST_F(StoreServiceTest, AKeyIsWrittenReadAndDeleted) {
  const auto caller = guest("web1");
  EXPECT_EQ(get(*caller, "/self/k"), "(none)");
  EXPECT_EQ(put(*caller, "/self/k", "1"), 1);
  EXPECT_EQ(put(*caller, "/self/k", "2"), 2);
  const auto got = must<Get>(*caller, get_request("/self/k"));
  EXPECT_EQ(got.revision(), 2);
  EXPECT_EQ(got.item().key(), "/self/k");
  EXPECT_EQ(got.item().value(), "2");
  EXPECT_EQ(got.item().version(), 2);
  EXPECT_EQ(got.item().create_revision(), 1);
  auto request = delete_request("/self/k");
  request.set_previous(true);
  auto deleted = must<Delete>(*caller, request);
  EXPECT_TRUE(deleted.deleted());
  EXPECT_EQ(deleted.revision(), 3);
  EXPECT_EQ(deleted.previous().value(), "2");
  deleted = must<Delete>(*caller, request);
  EXPECT_FALSE(deleted.deleted());
  EXPECT_EQ(deleted.revision(), 3) << "nothing has changed";
  EXPECT_FALSE(deleted.has_previous());
}

TEST_F(StoreServiceTest, APutTellsWhatItReplacedIfAsked) {
  const auto caller = guest("web1");
  auto request = put_request("/self/k", "1");
  request.set_previous(true);
  EXPECT_FALSE(must<Put>(*caller, request).has_previous());
  request.set_value("2");
  EXPECT_EQ(must<Put>(*caller, request).previous().value(), "1");
  request.set_previous(false);
  EXPECT_FALSE(must<Put>(*caller, request).has_previous());
}

TEST_F(StoreServiceTest, VmsHaveTheirOwnKeysAndShareOthers) {
  const auto web = guest("web1"), db = guest("db1"), host = admin();
  put(*web, "/self/k", "web's");
  put(*db, "/self/k", "db's");
  put(*web, "/shared/k", "all's");
  EXPECT_EQ(get(*web, "/self/k"), "web's");
  EXPECT_EQ(get(*db, "/self/k"), "db's");
  EXPECT_EQ(get(*db, "/shared/k"), "all's");
  EXPECT_EQ(get(*host, "/vm/web1/k"), "web's");
  for (const auto* key : {"/vm/web1/k", "/self/../web1/k", "/self/", "/shared", ""}) {
    EXPECT_EQ(call<Get>(*db, get_request(key)).status.code, Code::kInvalidArgument) << key;
    EXPECT_EQ(call<Put>(*db, put_request(key, "")).status.code, Code::kInvalidArgument) << key;
    EXPECT_EQ(call<Delete>(*db, delete_request(key)).status.code, Code::kInvalidArgument) << key;
  }
  EXPECT_EQ(store_.engine().stats().keys, 3u);
}

// ---------------------------------------------------------------- pages

TEST_F(StoreServiceTest, ListsInPagesOfWhatWasAskedFor) {
  const auto caller = guest("web1");
  for (const auto* key : {"/self/c", "/self/a", "/self/b/1", "/shared/x"}) put(*caller, key, "v");
  auto page = list(*caller, "/self/", 2);
  EXPECT_THAT(keys_of(page), testing::ElementsAre("/self/a", "/self/b/1"));
  EXPECT_EQ(page.continuation(), "/self/b/1");
  EXPECT_EQ(page.revision(), 4);
  page = list(*caller, "/self/", 2, page.continuation());
  EXPECT_THAT(keys_of(page), testing::ElementsAre("/self/c"));
  EXPECT_EQ(page.continuation(), "") << "the last";
  page = list(*caller, "/self/", 3);
  EXPECT_EQ(page.continuation(), "") << "no more than fit";
  EXPECT_THAT(keys_of(list(*caller, "/self/b/1")), testing::ElementsAre("/self/b/1"));
  EXPECT_EQ(list(*caller, "/self/b").items_size(), 0) << "a key's name, and there is none";
  const auto host = admin();
  EXPECT_THAT(keys_of(list(*host, "/")), testing::ElementsAre("/shared/x", "/vm/web1/a", "/vm/web1/b/1", "/vm/web1/c"));
}

TEST_F(StoreServiceTest, APageIsBoundedInBytes) {
  const auto caller = guest("web1");
  const std::string value(64 * 1024, 'v');
  for (const auto* key : {"/self/1", "/self/2", "/self/3", "/self/4"}) put(*caller, key, value);
  auto page = list(*caller, "/self/");
  EXPECT_THAT(keys_of(page), testing::ElementsAre("/self/1", "/self/2")) << "192 KiB with the keys";
  page = list(*caller, "/self/", 0, page.continuation());
  EXPECT_THAT(keys_of(page), testing::ElementsAre("/self/3", "/self/4"));
  EXPECT_EQ(page.continuation(), "");
  auto request = list_request("/self/");
  request.set_keys_only(true);
  page = must<List>(*caller, request);
  EXPECT_EQ(page.items_size(), 4);
  EXPECT_EQ(page.items(0).value(), "");
  EXPECT_EQ(page.items(0).mod_revision(), 1);
}

TEST_F(StoreServiceTest, APageIsBoundedInKeys) {
  const auto host = admin(), caller = guest("web1");
  for (int i = 0; i < 1001; i += 91) {
    std::vector<std::string> keys;
    for (int k = i; k < i + 91; ++k) keys.push_back("/vm/web1/k" + std::to_string(10'000 + k));
    must<Txn>(*host, put_all(keys, ""));
  }
  for (const auto limit : {0u, 5000u}) {
    auto page = list(*caller, "/self/", limit);
    EXPECT_EQ(page.items_size(), 1000);
    page = list(*caller, "/self/", limit, page.continuation());
    EXPECT_EQ(page.items_size(), 1);
    EXPECT_EQ(page.continuation(), "");
  }
  policy(
      R"({"vms": ["*"], "calls": ["hostcall.v1.Store/List"], "resources": ["/self/", "/self/k11000"], "action": "allow"},
            {"vms": ["*"], "calls": ["*"], "action": "deny"})");
  EXPECT_THAT(keys_of(list(*caller, "/self/")), testing::ElementsAre("/self/k11000"))
      << "a page takes as many turns as it needs";
}

class HiddenKeysTest : public StoreServiceTest {
 protected:
  // A thousand and one keys, "/self/k10000" to "/self/k11000".
  void SetUp() override {
    const auto host = admin();
    for (int i = 0; i < 1001; i += 91) {
      std::vector<std::string> keys;
      for (int k = i; k < i + 91; ++k) keys.push_back("/vm/web1/k" + std::to_string(10'000 + k));
      must<Txn>(*host, put_all(keys, ""));
    }
  }
  void show(const std::string& globs) {
    policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Store/List"], "resources": ["/self/", )" + globs +
           R"(], "action": "allow"}, {"vms": ["*"], "calls": ["*"], "action": "deny"})");
  }
  // All that is shown, page by page. A continuation must name what was shown before.
  std::vector<std::string> all(WireClient& caller, std::uint32_t limit) {
    std::vector<std::string> keys;
    std::string continuation;
    do {
      const auto page = list(caller, "/self/", limit, continuation);
      continuation = page.continuation();
      for (const auto& key : keys_of(page)) keys.push_back(key);
      if (!continuation.empty()) {
        EXPECT_THAT(keys, testing::Contains(continuation)) << "names a key that was not shown";
        EXPECT_NE(page.items_size(), 0) << "goes on";
      }
      if (::testing::Test::HasFailure()) break;
    } while (!continuation.empty());
    return keys;
  }
};

TEST_F(HiddenKeysTest, AContinuationNamesNone) {
  const auto caller = guest("web1");
  show(R"("/self/k10000", "/self/k10500", "/self/k10999")");
  for (const auto limit : {0u, 1u, 2u, 3u, 1000u})
    EXPECT_THAT(all(*caller, limit), testing::ElementsAre("/self/k10000", "/self/k10500", "/self/k10999")) << limit;
  show(R"("/self/k1?00?")");
  EXPECT_EQ(all(*caller, 7).size(), 11u);
}

TEST_F(HiddenKeysTest, WhatIsHiddenBehindTheLastKeyMakesNoPage) {
  const auto caller = guest("web1");
  show(R"("/self/k10600", "/self/k10601")");
  auto page = list(*caller, "/self/", 2, "/self/k10500");
  EXPECT_EQ(page.items_size(), 2);
  EXPECT_EQ(page.continuation(), "") << "nothing more is to be seen";
  page = list(*caller, "/self/", 1, "/self/k10500");
  EXPECT_EQ(page.continuation(), "/self/k10600");
}

// No rule would help.
TEST_F(StoreServiceTest, AMalformedNameIsNoMatterOfPolicy) {
  const auto caller = guest("web1");
  policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Store/Txn"], "action": "allow"})");
  for (const auto* name : {"self/x", "/vm/db1/x", "", "/self//x", "/self/\n", "/other"}) {
    EXPECT_EQ(call<Get>(*caller, get_request(name)).status.code, Code::kInvalidArgument) << name;
    EXPECT_EQ(call<Put>(*caller, put_request(name, "")).status.code, Code::kInvalidArgument) << name;
    EXPECT_EQ(call<Delete>(*caller, delete_request(name)).status.code, Code::kInvalidArgument) << name;
    EXPECT_EQ(call<List>(*caller, list_request(name)).status.code, Code::kInvalidArgument) << name;
    EXPECT_EQ(call<Txn>(*caller, put_all({name}, "")).status.code, Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(rig_.vm("web1").counts.denied, 0u);
  EXPECT_EQ(call<Get>(*caller, get_request("/self/x")).status.code, Code::kPermissionDenied);
}

TEST_F(StoreServiceTest, WhatWasBeforeIsForThoseWhoMayGetIt) {
  const auto caller = guest("web1");
  put(*caller, "/shared/k", "before");
  policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Store/Get"], "action": "deny"},
            {"vms": ["*"], "calls": ["*"], "action": "allow"})");
  auto put_it = put_request("/shared/k", "v");
  auto delete_it = delete_request("/shared/k");
  for (const bool previous : {true, false}) {
    const auto code = previous ? Code::kPermissionDenied : Code::kOk;
    put_it.set_previous(previous);
    delete_it.set_previous(previous);
    v1::TxnRequest txn;
    *txn.add_then()->mutable_put() = put_it;
    EXPECT_EQ(call<Txn>(*caller, txn).status.code, code);
    *txn.mutable_then(0)->mutable_delete_() = delete_it;
    EXPECT_EQ(call<Txn>(*caller, txn).status.code, code);
    EXPECT_EQ(call<Put>(*caller, put_it).status.code, code);
    EXPECT_EQ(call<Delete>(*caller, delete_it).status.code, code);
  }
}

TEST_F(StoreServiceTest, AContinuationBelongsToItsPrefix) {
  const auto caller = guest("web1");
  expect_refused(call<List>(*caller, list_request("/self/a/", 0, "/self/b")).status, Code::kOutOfRange,
                 "the continuation belongs to another prefix; begin without one");
  expect_refused(call<List>(*caller, list_request("/self/", 0, "/vm/db1/x")).status, Code::kInvalidArgument,
                 "there are no keys at");
  expect_refused(call<List>(*caller, list_request("/vm/db1/")).status, Code::kInvalidArgument, "there are no keys at");
  expect_refused(call<List>(*caller, list_request("self/")).status, Code::kInvalidArgument, "does not begin with '/'");
}

// ---------------------------------------------------------------- policy

TEST_F(StoreServiceTest, PolicyDecidesAboutKeys) {
  policy(
      R"({"vms": ["*"], "calls": ["hostcall.v1.Store/Get", "hostcall.v1.Store/List"], "resources": ["/self/**", "/self/"], "action": "allow"},
            {"vms": ["*"], "calls": ["hostcall.v1.Store/*"], "resources": ["/self/open/**"], "action": "allow"})");
  const auto caller = peer("web1"), host = admin();
  put(*host, "/vm/web1/closed/k", "1");
  put(*caller, "/self/open/k", "2");
  EXPECT_EQ(get(*caller, "/self/closed/k"), "1");
  const auto denied = call<Put>(*caller, put_request("/self/closed/k", "2")).status;
  expect_refused(denied, Code::kPermissionDenied, "hostcall.v1.Store/Put on \"/self/closed/k\"");
  expect_refused(call<Delete>(*caller, delete_request("/self/closed/k")).status, Code::kPermissionDenied,
                 "/self/closed/k");
  expect_refused(call<Get>(*caller, get_request("/shared/k")).status, Code::kPermissionDenied, "/shared/k");
  EXPECT_EQ(rig_.stats.calls_denied, 3u);
  EXPECT_THAT(rig_.log(), testing::HasSubstr("/self/closed/k"));
  EXPECT_THAT(keys_of(list(*caller, "/self/")), testing::ElementsAre("/self/closed/k", "/self/open/k"));
  policy(
      R"({"vms": ["*"], "calls": ["hostcall.v1.Store/List"], "resources": ["/self/", "/self/open/**"], "action": "allow"})");
  EXPECT_THAT(keys_of(list(*caller, "/self/")), testing::ElementsAre("/self/open/k")) << "others are left out";
}

// ---------------------------------------------------------------- limits

TEST_F(StoreServiceTest, KeysAndBytesOfAVmAreBounded) {
  limit("web1", [](Limits& limits) {
    limits.store_keys = 2;
    limits.store_bytes = 1024;
  });
  const auto caller = guest("web1"), other = guest("db1");
  put(*caller, "/self/a", "1");
  put(*caller, "/shared/b", "1");
  expect_refused(call<Put>(*caller, put_request("/self/c", "")).status, Code::kResourceExhausted,
                 "VM \"web1\": the limit store_keys (2) is reached; delete keys first");
  const auto used_now = store_.engine().usage("web1").bytes;
  const auto room = 1024 - used_now + 1;  // a's value is replaced
  expect_refused(call<Put>(*caller, put_request("/self/a", std::string(room + 1, 'v'))).status,
                 Code::kResourceExhausted, "VM \"web1\": the limit store_bytes (1024) is reached; delete keys first");
  EXPECT_EQ(get(*caller, "/self/a"), "1") << "nothing of it was done";
  put(*caller, "/self/a", std::string(room, 'v'));
  EXPECT_EQ(store_.engine().usage("web1"), (store::Usage{2, 1024}));
  EXPECT_EQ(sum_of(rig_.stats.limits_hit), 2u);
  must<Delete>(*caller, delete_request("/self/a"));
  put(*caller, "/self/c", "");
  put(*other, "/self/a", "others have their own");
  limit("db1", [](Limits& limits) { limits.store_key_bytes = 16; });
  expect_refused(call<Put>(*other, put_request("/self/" + std::string(11, 'k'), "")).status, Code::kInvalidArgument,
                 "has 17 bytes, but at most 16 are allowed");
}

TEST_F(StoreServiceTest, WritesHaveARate) {
  limit("web1", [](Limits& limits) {
    limits.store_write_rate = 8;  // times that a double has exactly
    limits.store_write_burst = 3;
  });
  const auto caller = guest("web1"), other = guest("db1"), host = admin();
  for (int i = 0; i < 2; ++i) put(*caller, "/self/k", "v");
  must<Delete>(*caller, delete_request("/self/k"));
  auto status = call<Put>(*caller, put_request("/self/k", "v")).status;
  expect_refused(status, Code::kResourceExhausted,
                 "VM \"web1\": the limit store_write_rate (8) is reached; retry in 125 ms");
  EXPECT_EQ(status.retry_after, milliseconds(125));
  EXPECT_EQ(get(*caller, "/self/k"), "(none)") << "reading has none";
  put(*other, "/self/k", "v");
  for (int i = 0; i < 10; ++i) put(*host, "/shared/k", "v");
  advance(std::chrono::microseconds(62'500));
  status = call<Put>(*caller, put_request("/self/k", "v")).status;
  expect_refused(status, Code::kResourceExhausted, "retry in 63 ms");
  EXPECT_EQ(status.retry_after, std::chrono::microseconds(62'500));
  advance(status.retry_after);
  put(*caller, "/self/k", "v");
  EXPECT_EQ(call<Delete>(*caller, delete_request("/self/k")).status.code, Code::kResourceExhausted);
  advance(seconds(10));
  for (int i = 0; i < 3; ++i) put(*caller, "/self/k", "v");
  EXPECT_EQ(call<Put>(*caller, put_request("/self/k", "v")).status.code, Code::kResourceExhausted)
      << "no more than the burst";
}

// ---------------------------------------------------------------- idempotency

TEST_F(StoreServiceTest, TheSameRequestAgainIsNotDoneTwice) {
  const auto caller = guest("web1"), other = guest("db1"), host = admin();
  auto request = put_request("/self/k", "1");
  request.set_previous(true);
  request.set_idempotency_key("once");
  const auto first = must<Put>(*caller, request);
  put(*caller, "/self/k", "2");
  const auto again = must<Put>(*caller, request);
  EXPECT_EQ(again.revision(), first.revision());
  EXPECT_FALSE(again.has_previous());
  EXPECT_EQ(get(*caller, "/self/k"), "2");
  EXPECT_GT(must<Put>(*other, request).revision(), again.revision()) << "another VM's key is another key";
  request.set_key("/shared/k");
  expect_refused(call<Put>(*caller, request).status, Code::kInvalidArgument,
                 "the idempotency key stands for another request");
  const auto by_host = must<Put>(*host, request).revision();
  EXPECT_EQ(must<Put>(*host, request).revision(), by_host);
  auto erase = delete_request("/self/k");
  erase.set_idempotency_key("twice");
  EXPECT_TRUE(must<Delete>(*caller, erase).deleted());
  EXPECT_TRUE(must<Delete>(*caller, erase).deleted()) << "as it was told before";
}

TEST_F(StoreServiceTest, AnIdempotencyKeyIsBounded) {
  const auto caller = guest("web1");
  auto request = put_request("/self/k", "1");
  request.set_idempotency_key(std::string(64, 'i'));
  EXPECT_TRUE(call<Put>(*caller, request).status.ok());
  request.set_idempotency_key(std::string(65, 'i'));
  expect_refused(call<Put>(*caller, request).status, Code::kInvalidArgument,
                 "the idempotency key has 65 bytes, at most 64 are allowed");
  v1::TxnRequest txn = put_all({"/self/k"}, "v");
  txn.set_idempotency_key(std::string(65, 'i'));
  expect_refused(call<Txn>(*caller, txn).status, Code::kInvalidArgument, "the idempotency key has 65 bytes");
}

}  // namespace
}  // namespace hostcall::daemon
