// How records and outcomes look as messages, and what a request may not say.
#include "daemon/services/store_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <span>

#include "daemon/store/evaluate.h"
#include "tests/unit/daemon/services/one_session.h"

namespace hostcall::daemon {
namespace {

using store::Operation;
using store::OutcomeCode;
using ::testing::HasSubstr;

Caller caller_of() {
  VmRecord record;
  record.name = "web1";
  Caller caller;
  caller.vm = std::make_shared<Vm>(record, "test", 1, Limits{});
  caller.vm->boot_id = "boot-of-another-session";
  return caller;
}

Caller admin() {
  Caller caller;
  caller.audience = Audience::kAdmin;
  return caller;
}

store::Ref record(const std::string& key, const std::string& value) {
  return store::make_record({.key = key,
                             .value = value,
                             .owner = "web1",
                             .holder = "web1/b",
                             .create_revision = 3,
                             .mod_revision = 7,
                             .version = 2,
                             .lifetime = store::Lifetime::kBoot});
}

void expect_refused(const Status& status, Code code, const std::string& text) {
  EXPECT_EQ(status.code, code);
  EXPECT_THAT(status.message, HasSubstr(text));
}

class StoreMessages : public testing::Test {
 protected:
  Status put(const Caller& caller, const v1::PutRequest& request, const std::string& boot_id = "boot-1") {
    operation = {};
    test::OneSession session(1, caller.vm ? boot_id : "");
    return read_put(StoreNames(caller), {caller, session, {}, kNever, 4096}, request, operation);
  }
  const Caller web = caller_of();
  const StoreNames names{web};
  Operation operation;
};

TEST_F(StoreMessages, AnItemHasAllOfItsRecord) {
  v1::Item item;
  fill_item(names, *record("/vm/web1/k", "v"), true, item);
  EXPECT_EQ(item.key(), "/self/k");
  EXPECT_EQ(item.value(), "v");
  EXPECT_EQ(item.create_revision(), 3);
  EXPECT_EQ(item.mod_revision(), 7);
  EXPECT_EQ(item.version(), 2);
  EXPECT_EQ(item.lifetime(), v1::LIFETIME_BOOT);
  v1::Item key_only;
  fill_item(names, *record("/vm/web1/k", "v"), false, key_only);
  EXPECT_TRUE(key_only.value().empty());
}

TEST_F(StoreMessages, AnEventHasWhatWasBeforeIfAskedFor) {
  const store::Event change{record("/vm/web1/k", "new"), record("/vm/web1/k", "old")};
  v1::Event message;
  fill_event(names, change, true, message);
  EXPECT_EQ(message.kind(), v1::Event::KIND_PUT);
  EXPECT_EQ(message.item().value(), "new");
  EXPECT_EQ(message.previous().value(), "old");
  message.Clear();
  fill_event(names, change, false, message);
  EXPECT_FALSE(message.has_previous());
  message.Clear();
  fill_event(names, {store::make_tombstone("/vm/web1/k", 9), nullptr}, true, message);
  EXPECT_EQ(message.kind(), v1::Event::KIND_DELETE);
  EXPECT_EQ(message.item().key(), "/self/k");
  EXPECT_EQ(message.item().mod_revision(), 9);
  EXPECT_FALSE(message.has_previous());
}

TEST_F(StoreMessages, AResultIsOfItsOperationsKind) {
  using Kind = Operation::Kind;
  const auto old = record("/vm/web1/k", "old");
  const auto result = [&](Kind kind, const store::Ref& found, bool previous) {
    v1::OperationResult message;
    fill_result(names, {kind, found, 11}, previous, message);
    EXPECT_LE(message.ByteSizeLong(), most_bytes_of({kind, found, 11}, previous));
    return message;
  };
  EXPECT_EQ(result(Kind::kGet, old, false).get().item().value(), "old");
  EXPECT_EQ(result(Kind::kGet, old, false).get().revision(), 11);
  EXPECT_FALSE(result(Kind::kGet, nullptr, false).get().has_item());
  EXPECT_EQ(result(Kind::kPut, old, true).put().previous().value(), "old");
  EXPECT_EQ(result(Kind::kPut, old, true).put().revision(), 11);
  EXPECT_FALSE(result(Kind::kPut, old, false).put().has_previous());
  EXPECT_FALSE(result(Kind::kPut, nullptr, true).put().has_previous());
  EXPECT_EQ(result(Kind::kDelete, old, true).delete_().previous().value(), "old");
  EXPECT_TRUE(result(Kind::kDelete, old, false).delete_().deleted());
  EXPECT_FALSE(result(Kind::kDelete, old, false).delete_().has_previous());
  EXPECT_FALSE(result(Kind::kDelete, nullptr, true).delete_().deleted());
  EXPECT_EQ(result(Kind::kDelete, nullptr, true).delete_().revision(), 11);
}

TEST_F(StoreMessages, APutIsRead) {
  v1::PutRequest request;
  request.set_key("/self/k");
  request.set_value(std::string(Limits{}.store_value_bytes, 'v'));
  request.set_lifetime(v1::LIFETIME_BOOT);
  ASSERT_TRUE(put(web, request).ok());
  EXPECT_EQ(operation.kind, Operation::Kind::kPut);
  EXPECT_EQ(operation.key, "/vm/web1/k");
  EXPECT_EQ(operation.value, request.value());
  EXPECT_EQ(operation.lifetime, store::Lifetime::kBoot);
  *request.mutable_value() += 'v';
  expect_refused(put(web, request), Code::kResourceExhausted,
                 "VM \"web1\": the limit store_value_bytes (65536) is reached; the value has 65537 bytes");
  expect_refused(put(admin(), request), Code::kResourceExhausted, "the limit store_value_bytes (65536)");
  request.clear_value();
  request.set_key("/vm/db1/k");
  expect_refused(put(web, request), Code::kInvalidArgument, "there are no keys at");
}

TEST_F(StoreMessages, ALifetimeNeedsItsHolder) {
  v1::PutRequest request;
  request.set_key("/shared/k");
  request.set_lifetime(v1::LIFETIME_BOOT);
  EXPECT_TRUE(put(web, request).ok());
  expect_refused(put(web, request, ""), Code::kFailedPrecondition, "this session of VM \"web1\" has told no boot id");
  expect_refused(put(admin(), request), Code::kFailedPrecondition, "only a VM boots");
  request.set_lifetime(v1::LIFETIME_SESSION);
  EXPECT_TRUE(put(web, request, "").ok());
  EXPECT_TRUE(put(admin(), request).ok());
  request.set_lifetime(static_cast<v1::Lifetime>(3));
  expect_refused(put(web, request), Code::kInvalidArgument, "lifetime 3 is unknown");
  request.set_lifetime(static_cast<v1::Lifetime>(-1));
  expect_refused(put(web, request), Code::kInvalidArgument, "lifetime -1 is unknown");
}

TEST_F(StoreMessages, AComparisonIsReadWithItsTarget) {
  using Target = store::Compare::Target;
  const auto read = [&](const v1::Compare& request) {
    store::Compare compare;
    EXPECT_TRUE(read_compare(names, request, compare).ok());
    EXPECT_EQ(compare.key, "/vm/web1/k");
    return compare;
  };
  v1::Compare request;
  request.set_key("/self/k");
  request.set_version(5);
  EXPECT_EQ(read(request).target, Target::kVersion);
  EXPECT_EQ(read(request).number, 5);
  EXPECT_EQ(read(request).relation, store::Relation::kEqual);
  request.set_create_revision(6);
  request.set_comparison(v1::COMPARISON_NOT_EQUAL);
  EXPECT_EQ(read(request).target, Target::kCreateRevision);
  EXPECT_EQ(read(request).number, 6);
  EXPECT_EQ(read(request).relation, store::Relation::kNotEqual);
  request.set_mod_revision(7);
  request.set_comparison(v1::COMPARISON_GREATER);
  EXPECT_EQ(read(request).target, Target::kModRevision);
  EXPECT_EQ(read(request).number, 7);
  EXPECT_EQ(read(request).relation, store::Relation::kGreater);
  request.set_value("v");
  request.set_comparison(v1::COMPARISON_LESS);
  EXPECT_EQ(read(request).target, Target::kValue);
  EXPECT_EQ(read(request).value, "v");
  EXPECT_EQ(read(request).relation, store::Relation::kLess);
}

TEST_F(StoreMessages, AComparisonWithoutSenseIsRefused) {
  v1::Compare request;
  store::Compare compare;
  request.set_key("/self/k");
  expect_refused(read_compare(names, request, compare), Code::kInvalidArgument, "a comparison names no target");
  request.set_version(1);
  request.set_comparison(static_cast<v1::Comparison>(4));
  expect_refused(read_compare(names, request, compare), Code::kInvalidArgument, "comparison 4 is unknown");
  request.set_comparison(v1::COMPARISON_EQUAL);
  request.set_key("/other");
  expect_refused(read_compare(names, request, compare), Code::kInvalidArgument, "there are no keys at");
}

TEST_F(StoreMessages, EachVerdictHasItsCode) {
  const auto status = [&](OutcomeCode code) { return status_of(names, web, store::refused(code, "the reason")); };
  EXPECT_TRUE(status(OutcomeCode::kDone).ok());
  expect_refused(status(OutcomeCode::kInvalid), Code::kInvalidArgument, "the reason");
  expect_refused(status(OutcomeCode::kNoRoom), Code::kResourceExhausted, "nothing was done: the reason");
  expect_refused(status(OutcomeCode::kKeyReused), Code::kInvalidArgument, "the reason");
  expect_refused(status(OutcomeCode::kKeysLimit), Code::kResourceExhausted, "the limit store_keys (1000) is reached");
  expect_refused(status(OutcomeCode::kBytesLimit), Code::kResourceExhausted,
                 "the limit store_bytes (4194304) is reached");
  expect_refused(status(OutcomeCode::kDiskFull), Code::kResourceExhausted, "nothing was written: the reason");
  EXPECT_EQ(status(OutcomeCode::kDiskFull).retry_after, seconds(1));
  expect_refused(status(OutcomeCode::kNoMemory), Code::kResourceExhausted,
                 "nothing was written: the reason; try again");
  EXPECT_EQ(status(OutcomeCode::kNoMemory).retry_after, seconds(1));
  expect_refused(status(OutcomeCode::kDiskFailed), Code::kUnavailable, "the outcome is unknown: the reason");
  expect_refused(status(OutcomeCode::kReadOnly), Code::kUnavailable, "nothing was written: the reason");
  expect_refused(status_of(names, admin(), store::refused(OutcomeCode::kKeysLimit, "")), Code::kResourceExhausted,
                 "store_keys");
  expect_refused(status(static_cast<OutcomeCode>(99)), Code::kInternal, "the reason");
}

TEST_F(StoreMessages, AnErrorNamesAKeyAsItsCallerDoes) {
  const auto outcome = store::refused(OutcomeCode::kInvalid, "is written twice", "/vm/web1/k");
  EXPECT_EQ(status_of(names, web, outcome).message, "key \"/self/k\" is written twice");
  const auto host = admin();
  EXPECT_EQ(status_of(StoreNames(host), host, outcome).message, "key \"/vm/web1/k\" is written twice");
}

TEST_F(StoreMessages, MostBytesAreEnoughForTheLargestNumbers) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  const auto large = store::make_record({.key = "/vm/web1/k",
                                         .value = std::string(65536, 'v'),
                                         .owner = "web1",
                                         .holder = "web1/b",
                                         .create_revision = kMost,
                                         .mod_revision = kMost,
                                         .version = kMost,
                                         .lifetime = store::Lifetime::kSession});
  v1::TxnResponse response;
  std::size_t most = 0;
  for (const auto kind : {Operation::Kind::kGet, Operation::Kind::kPut, Operation::Kind::kDelete}) {
    fill_result(names, {kind, large, kMost}, true, *response.add_results());
    most += most_bytes_of({kind, large, kMost}, true);
  }
  EXPECT_LE(response.ByteSizeLong(), most);
}

}  // namespace
}  // namespace hostcall::daemon
