// Transactions: what is done and what is told of it, and that a refused one has no effect.
#include "tests/unit/daemon/services/store_fixture.h"

namespace hostcall::daemon {
namespace {

using test::delete_request;
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

// 128 times a value of 64 KiB are 8 MiB: more than is left of outbound_bytes, and refused before it is copied.
TEST_F(StoreTxnTest, AReplyThatIsTooLargeIsNotBuilt) {
  const auto caller = guest("web1");
  put(*caller, "/self/k", std::string(64 * 1024, 'v'));
  v1::TxnRequest request;
  for (int i = 0; i < 10; ++i) request.add_then()->mutable_get()->set_key("/self/k");
  EXPECT_EQ(must<Txn>(*caller, request).results_size(), 10);
  while (request.then_size() < 128) request.add_then()->mutable_get()->set_key("/self/k");
  expect_refused(call<Txn>(*caller, request).status, Code::kResourceExhausted, "the reply would have more than 84");
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

TEST_F(StoreTxnTest, OneLargerThanTheBurstIsRefusedForGood) {
  limit("web1", [](Limits& limits) {
    limits.store_write_rate = 10;
    limits.store_write_burst = 3;
  });
  const auto caller = guest("web1");
  expect_no_effect(*caller, put_all({"/self/a", "/self/b", "/self/c", "/self/d"}, ""), Code::kInvalidArgument,
                   "VM \"web1\": 4 writes at once can never be made, because the limit store_write_burst is 3");
  must<Txn>(*caller, put_all({"/self/a", "/self/b", "/self/c"}, ""));
}

TEST_F(StoreTxnTest, ARetryWhenItIsSaidSucceeds) {
  const auto caller = guest("web1");
  std::vector<std::string> keys;
  for (int i = 0; i < 128; ++i) keys.push_back("/self/k" + std::to_string(i));
  const auto request = put_all(keys, "");
  must<Txn>(*caller, request);
  for (int i = 0; i < 20; ++i) {
    const auto status = call<Txn>(*caller, request).status;
    ASSERT_EQ(status.code, Code::kResourceExhausted);
    EXPECT_GT(status.retry_after, seconds(1)) << "128 less the 72 that are left, at 50 a second";
    advance(status.retry_after);
    must<Txn>(*caller, request);
  }
}

TEST_F(StoreTxnTest, OneThatIsRefusedForAnotherReasonTakesNothingOffTheRate) {
  limit("web1", [](Limits& limits) {
    limits.store_write_burst = 3;
    limits.memory_bytes = limits.message_bytes = 64 * 1024;
  });
  const auto caller = guest("web1");
  for (int i = 0; i < 3; ++i)
    expect_no_effect(*caller, put_all({"/self/a"}, std::string(65'380 - 10 * static_cast<unsigned>(i), 'v')),
                     Code::kResourceExhausted, "memory_bytes");
  must<Txn>(*caller, put_all({"/self/a", "/self/b", "/self/c"}, ""));
}

TEST_F(StoreTxnTest, OneWhoseReplyWouldBeTooLargeIsNotDone) {
  limit("web1", [](Limits& limits) { limits.outbound_bytes = 16 * 1024 * 1024; });
  const auto caller = guest("web1");
  put(*caller, "/self/large", std::string(64 * 1024, 'v'));
  auto request = put_all({"/self/k"}, "v");
  for (int i = 0; i < 65; ++i) request.add_then()->mutable_get()->set_key("/self/large");
  expect_no_effect(*caller, request, Code::kResourceExhausted, "is more than a message can hold");
  limit("web1", [](Limits& limits) { limits.outbound_bytes = 1024 * 1024; });
  request.mutable_then()->DeleteSubrange(17, 49);
  expect_no_effect(*caller, request, Code::kResourceExhausted, "outbound_bytes (1048576)");
  request.mutable_then()->DeleteSubrange(10, 7);
  EXPECT_EQ(must<Txn>(*caller, request).results_size(), 10);
}

// As in etcd.
TEST_F(StoreTxnTest, AResultHasTheRevisionThatItsOperationLeaves) {
  const auto caller = guest("web1");
  put(*caller, "/self/k", "v");
  v1::TxnRequest request;
  request.add_then()->mutable_get()->set_key("/self/k");
  request.add_then()->mutable_delete_()->set_key("/self/none");
  *request.add_then()->mutable_put() = put_request("/self/l", "");
  request.add_then()->mutable_get()->set_key("/self/k");
  request.add_then()->mutable_delete_()->set_key("/self/none too");
  const auto response = must<Txn>(*caller, request);
  EXPECT_EQ(response.results(0).get().revision(), 1);
  EXPECT_EQ(response.results(1).delete_().revision(), 1);
  EXPECT_EQ(response.results(2).put().revision(), 2);
  EXPECT_EQ(response.results(3).get().revision(), 2);
  EXPECT_EQ(response.results(4).delete_().revision(), 2);
  EXPECT_EQ(response.revision(), 2);
}

TEST_F(StoreTxnTest, AnErrorNamesTheKeyAsTheGuestDoes) {
  const auto caller = guest("web1"), host = admin();
  expect_no_effect(*caller, put_all({"/self/twice", "/self/twice"}, ""), Code::kInvalidArgument,
                   "key \"/self/twice\" is written twice");
  expect_no_effect(*host, put_all({"/vm/web1/twice", "/vm/web1/twice"}, ""), Code::kInvalidArgument,
                   "key \"/vm/web1/twice\" is written twice");
}

// Who may write a key, but not read it, is not shown what it was.
TEST_F(StoreTxnTest, PreviousNeedsPermissionToGet) {
  policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Store/Get"], "resources": ["/self/**"], "action": "allow"},
            {"vms": ["*"], "calls": ["hostcall.v1.Store/Put", "hostcall.v1.Store/Delete", "hostcall.v1.Store/Txn"],
             "action": "allow"})");
  const auto caller = peer("web1"), host = admin();
  put(*host, "/shared/k", "another VM's");
  constexpr char kDenied[] = "`previous` reads the key: ";
  const auto before = store_.engine().revision();
  auto one = put_request("/shared/k", "mine");
  one.set_previous(true);
  expect_refused(call<v1::Store::Put>(*caller, one).status, Code::kPermissionDenied, kDenied);
  auto erase = delete_request("/shared/k");
  erase.set_previous(true);
  expect_refused(call<v1::Store::Delete>(*caller, erase).status, Code::kPermissionDenied, kDenied);
  for (const bool in_else : {false, true}) {
    v1::TxnRequest request;
    *(in_else ? request.add_else_() : request.add_then())->mutable_put() = one;
    expect_no_effect(*caller, request, Code::kPermissionDenied, kDenied);
    request.Clear();
    *(in_else ? request.add_else_() : request.add_then())->mutable_delete_() = erase;
    expect_no_effect(*caller, request, Code::kPermissionDenied, "hostcall.v1.Store/Get on \"/shared/k\"");
  }
  EXPECT_EQ(store_.engine().revision(), before);
  one.set_key("/self/k");
  EXPECT_TRUE(call<v1::Store::Put>(*caller, one).status.ok());
  one.set_key("/shared/k");
  one.set_previous(false);
  EXPECT_TRUE(call<v1::Store::Put>(*caller, one).status.ok());
}

// A rule for Put with a rate, one for Txn with another.
class RatedTxnTest : public StoreTxnTest {
 protected:
  RatedTxnTest() {
    policy(
        R"({"vms": ["*"], "calls": ["hostcall.v1.Store/Put"], "resources": ["/self/p/*"], "action": "allow", "rate": 10, "burst": 5},
              {"vms": ["*"], "calls": ["hostcall.v1.Store/Txn"], "action": "allow", "rate": 100, "burst": 2},
              {"vms": ["*"], "calls": ["*"], "action": "allow"})");
  }
  static v1::TxnRequest puts(int count) {
    std::vector<std::string> keys;
    for (int i = 0; i < count; ++i) keys.push_back("/self/p/" + std::to_string(i));
    return put_all(keys, "v");
  }
};

TEST_F(RatedTxnTest, TakesAllOrNothingOffARulesRate) {
  const auto caller = guest("web1");
  must<Txn>(*caller, puts(3));
  const auto status = call<Txn>(*caller, puts(4)).status;
  expect_refused(status, Code::kResourceExhausted,
                 "hostcall.v1.Store/Put is over the rate of 50-test.json:1; retry in 200 ms");
  EXPECT_EQ(status.retry_after, milliseconds(200)) << "two are there, and all four must be";
  EXPECT_EQ(call<Txn>(*caller, puts(4)).status.retry_after, milliseconds(200)) << "a refusal takes nothing";
  advance(status.retry_after);
  must<Txn>(*caller, puts(4));
}

TEST_F(RatedTxnTest, ARetryAsToldSucceeds) {
  const auto caller = guest("web1");
  int refused = 0;
  for (int done = 0; done < 20;) {
    const auto status = call<Txn>(*caller, puts(5)).status;
    if (status.ok()) {
      ++done;
    } else {
      ++refused;
      advance(status.retry_after);
    }
  }
  EXPECT_LE(refused, 20) << "each waits once at most";
}

TEST_F(RatedTxnTest, TheWaitCoversAllRates) {
  limit("web1", [](Limits& limits) {
    limits.store_write_rate = 1;
    limits.store_write_burst = 5;
  });
  const auto caller = guest("web1");
  must<Txn>(*caller, puts(5));
  const auto status = call<Txn>(*caller, puts(5)).status;
  expect_refused(status, Code::kResourceExhausted, "store_write_rate (1) is reached; retry in 5000 ms");
  EXPECT_EQ(status.retry_after, seconds(5)) << "not the 500 ms of the rule";
  advance(status.retry_after);
  must<Txn>(*caller, puts(5));
}

TEST_F(RatedTxnTest, MoreThanTheBurstIsRefusedAtOnceAndTakesNothing) {
  const auto caller = guest("web1");
  for (int i = 0; i < 10; ++i)
    expect_refused(call<Txn>(*caller, puts(6)).status, Code::kInvalidArgument,
                   "makes 6 calls that 50-test.json:1 allows at a rate, whose burst never holds more than 5");
  must<Txn>(*caller, puts(5));  // also what Txn's own rule allows is all there
}

TEST_F(RatedTxnTest, OnlyOneOfTheListsTakesPlace) {
  const auto caller = guest("web1");
  auto request = puts(5);
  const auto others = puts(4);
  for (const auto& operation : others.then()) *request.add_else_() = operation;
  must<Txn>(*caller, request);
}

TEST_F(RatedTxnTest, ARefusalByAnotherLimitTakesNothing) {
  limit("web1", [](Limits& limits) { limits.memory_bytes = 1; });
  const auto caller = guest("web1");
  for (int i = 0; i < 10; ++i)
    expect_refused(call<Txn>(*caller, puts(5)).status, Code::kResourceExhausted, "memory_bytes");
  limit("web1", [](Limits& limits) { limits.memory_bytes = Limits{}.memory_bytes; });
  must<Txn>(*caller, puts(5));
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
