// Transactions: what is done and what is told of it, and that a refused one has no effect.
#include "tests/unit/daemon/services/store_fixture.h"

namespace hostcall::daemon {
namespace {

using test::put_all;
using test::put_request;
using test::WireClient;
using v1::Store::Txn;

class StoreTxnTest : public test::StoreServiceFixture {
 protected:
  // If the key has the version, puts "then", else "else".
  static v1::TxnRequest put_if_version(const std::string& key, std::int64_t version) {
    v1::TxnRequest request;
    auto& compare = *request.add_compare();
    compare.set_key(key);
    compare.set_version(version);
    *request.add_then()->mutable_put() = put_request(key, "then");
    *request.add_else_()->mutable_put() = put_request(key, "else");
    return request;
  }
  void expect_no_effect(WireClient& caller, const v1::TxnRequest& request, Code code, const std::string& text) {
    const auto before = store_.engine().revision();
    expect_refused(call<Txn>(caller, request).status, code, text);
    EXPECT_EQ(store_.engine().revision(), before);
  }
};

TEST_F(StoreTxnTest, DoesOneListOrTheOther) {
  const auto caller = guest("web1");
  auto response = must<Txn>(*caller, put_if_version("/self/k", 0));
  EXPECT_TRUE(response.succeeded());
  EXPECT_EQ(response.revision(), 1);
  ASSERT_EQ(response.results_size(), 1);
  EXPECT_EQ(response.results(0).put().revision(), 1);
  EXPECT_EQ(get(*caller, "/self/k"), "then");
  response = must<Txn>(*caller, put_if_version("/self/k", 0));
  EXPECT_FALSE(response.succeeded());
  EXPECT_EQ(get(*caller, "/self/k"), "else");
}

TEST_F(StoreTxnTest, EachOperationHasItsResultAndSeesThoseBefore) {
  const auto caller = guest("web1");
  put(*caller, "/self/a", "old a");
  put(*caller, "/self/b", "old b");
  v1::TxnRequest request;
  *request.add_then()->mutable_put() = put_request("/self/a", "new a");
  request.mutable_then(0)->mutable_put()->set_previous(true);
  request.add_then()->mutable_get()->set_key("/self/a");
  request.add_then()->mutable_delete_()->set_key("/self/b");
  *request.add_then()->mutable_put() = put_request("/self/c", "");
  const auto response = must<Txn>(*caller, request);
  ASSERT_EQ(response.results_size(), 4);
  EXPECT_EQ(response.results(0).put().previous().value(), "old a");
  EXPECT_EQ(response.results(1).get().item().value(), "new a");
  EXPECT_TRUE(response.results(2).delete_().deleted());
  EXPECT_FALSE(response.results(2).delete_().has_previous()) << "nobody asked";
  EXPECT_FALSE(response.results(3).put().has_previous());
  EXPECT_EQ(response.revision(), 3);
}

TEST_F(StoreTxnTest, OneThatReadsOnlyWaitsForNoDisk) {
  const auto caller = guest("web1");
  put(*caller, "/self/k", "v");
  v1::TxnRequest request;
  request.add_then()->mutable_get()->set_key("/self/k");
  request.add_then()->mutable_get()->set_key("/self/none");
  const auto response = must<Txn>(*caller, request);
  EXPECT_EQ(response.results(0).get().item().value(), "v");
  EXPECT_FALSE(response.results(1).get().has_item());
  EXPECT_EQ(response.revision(), 1);
  EXPECT_TRUE(must<Txn>(*caller, v1::TxnRequest()).succeeded()) << "nothing to do is done";
}

TEST_F(StoreTxnTest, EachStepIsCheckedBeforeAnyIsDone) {
  const auto caller = guest("web1");
  auto request = put_all({"/self/first"}, "v");
  request.add_then();
  expect_no_effect(*caller, request, Code::kInvalidArgument,
                   "an operation of the transaction names no get, put or delete");
  for (const bool in_else : {false, true}) {
    request = put_all({"/self/first"}, "v");
    auto& bad = in_else ? *request.add_else_() : *request.add_then();
    bad.mutable_put()->set_key("/vm/db1/k");
    expect_no_effect(*caller, request, Code::kInvalidArgument, "there are no keys at \"/vm/db1/k\"");
    bad.mutable_delete_()->set_key("/self/");
    expect_no_effect(*caller, request, Code::kInvalidArgument, "ends in '/'");
    bad.mutable_get()->set_key("self/x");
    expect_no_effect(*caller, request, Code::kInvalidArgument, "does not begin with '/'");
    bad.mutable_put()->set_key("/self/k");
    bad.mutable_put()->set_idempotency_key("i");
    expect_no_effect(*caller, request, Code::kInvalidArgument,
                     "no idempotency key of its own; give it to the transaction");
    bad.mutable_delete_()->set_key("/self/k");
    bad.mutable_delete_()->set_idempotency_key("i");
    expect_no_effect(*caller, request, Code::kInvalidArgument, "no idempotency key of its own");
  }
  request = put_all({"/self/first"}, "v");
  request.add_compare()->set_key("/self/k");
  expect_no_effect(*caller, request, Code::kInvalidArgument, "a comparison names no target");
  request = put_all({"/self/twice", "/self/twice"}, "v");
  expect_no_effect(*caller, request, Code::kInvalidArgument, "is written twice");
  request = put_all({"/self/k"}, std::string(64 * 1024 + 1, 'v'));
  expect_no_effect(*caller, request, Code::kResourceExhausted, "the limit store_value_bytes (65536) is reached");
}

TEST_F(StoreTxnTest, StepsAndBytesAreBounded) {
  limit("web1", [](Limits& limits) { limits.message_bytes = 4 * 1024 * 1024 - 1; });
  const auto caller = guest("web1");
  v1::TxnRequest request;
  for (int i = 0; i < 50; ++i) {
    request.add_compare()->set_key("/self/k");
    request.mutable_compare(i)->set_version(0);
    request.add_then()->mutable_get()->set_key("/self/k");
  }
  for (int i = 0; i < 28; ++i) request.add_else_()->mutable_get()->set_key("/self/k");
  EXPECT_TRUE(call<Txn>(*caller, request).status.ok());
  request.add_else_()->mutable_get()->set_key("/self/k");
  expect_no_effect(*caller, request, Code::kInvalidArgument,
                   "the transaction has 129 comparisons and operations, at most 128 are allowed");
  std::vector<std::string> keys;
  for (int i = 0; i < 8; ++i) keys.push_back("/self/k" + std::to_string(i));
  const std::string value(64 * 1024, 'v');
  must<Txn>(*caller, put_all(keys, value));
  expect_no_effect(*caller, put_all(keys, value), Code::kInvalidArgument,
                   "1048576 bytes of values written and replaced, but at most 524288 are allowed");
}

TEST_F(StoreTxnTest, PolicyDecidesAboutEachStepAsItsOwnCall) {
  policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Store/Txn"], "action": "allow"},
            {"vms": ["*"], "calls": ["hostcall.v1.Store/Get"], "resources": ["/self/**"], "action": "allow"},
            {"vms": ["*"], "calls": ["hostcall.v1.Store/Put"], "resources": ["/self/w/**"], "action": "allow"})");
  const auto caller = peer("web1");
  auto request = put_if_version("/self/w/k", 0);
  EXPECT_TRUE(call<Txn>(*caller, request).status.ok());
  request.mutable_else_(0)->mutable_put()->set_key("/self/k");
  expect_no_effect(*caller, request, Code::kPermissionDenied, "hostcall.v1.Store/Put on \"/self/k\"");
  request.mutable_else_(0)->mutable_delete_()->set_key("/self/w/k");
  expect_no_effect(*caller, request, Code::kPermissionDenied, "hostcall.v1.Store/Delete on \"/self/w/k\"");
  request.mutable_else_(0)->mutable_get()->set_key("/shared/k");
  expect_no_effect(*caller, request, Code::kPermissionDenied, "hostcall.v1.Store/Get on \"/shared/k\"");
  request = put_if_version("/self/w/k", 0);
  request.mutable_compare(0)->set_key("/shared/k");
  expect_no_effect(*caller, request, Code::kPermissionDenied, "hostcall.v1.Store/Get on \"/shared/k\"");
}

TEST_F(StoreTxnTest, TakesItsLargerListOffTheRate) {
  limit("web1", [](Limits& limits) {
    limits.store_write_rate = 10;
    limits.store_write_burst = 5;
  });
  const auto caller = guest("web1");
  auto request = put_if_version("/self/k", 7);
  *request.add_else_()->mutable_put() = put_request("/self/l", "");
  request.add_else_()->mutable_get()->set_key("/self/l");
  must<Txn>(*caller, request);
  must<Txn>(*caller, request);  // four of five
  const auto status = call<Txn>(*caller, request).status;
  expect_refused(status, Code::kResourceExhausted, "the limit store_write_rate (10) is reached; retry in 100 ms");
  EXPECT_EQ(status.retry_after, milliseconds(100)) << "one is there, another has to come";
  put(*caller, "/self/one", "");
  EXPECT_EQ(call<Txn>(*caller, request).status.retry_after, milliseconds(200));
  advance(milliseconds(200));
  must<Txn>(*caller, request);
}

// Else it could never be done.
TEST_F(StoreTxnTest, OneLargerThanTheBurstWaitsUntilTheRateIsUnused) {
  limit("web1", [](Limits& limits) {
    limits.store_write_rate = 10;
    limits.store_write_burst = 3;
  });
  const auto caller = guest("web1");
  const auto request = put_all({"/self/a", "/self/b", "/self/c", "/self/d", "/self/e"}, "");
  must<Txn>(*caller, request);
  const auto status = call<Txn>(*caller, put_all({"/self/a"}, "")).status;
  EXPECT_EQ(status.retry_after, milliseconds(300)) << "two more than there were are owed";
  EXPECT_EQ(call<Txn>(*caller, request).status.retry_after, milliseconds(500));
  advance(milliseconds(500) - nanoseconds(1000));
  EXPECT_GT(call<Txn>(*caller, request).status.retry_after, Duration::zero());
  advance(nanoseconds(1000));
  must<Txn>(*caller, request);
}

TEST_F(StoreTxnTest, ARepetitionGetsTheFirstAnswer) {
  const auto caller = guest("web1");
  auto request = put_if_version("/self/k", 0);
  request.set_idempotency_key("once");
  const auto first = must<Txn>(*caller, request);
  EXPECT_TRUE(first.succeeded());
  const auto again = must<Txn>(*caller, request);
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(get(*caller, "/self/k"), "then");
}

}  // namespace
}  // namespace hostcall::daemon
