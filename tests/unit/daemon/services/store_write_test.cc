// Writes on their way: what the engine is given, what it holds of the VM meanwhile, and how each of its answers reaches
// the caller, or nobody.
#include "daemon/services/store_write.h"

#include "tests/unit/daemon/services/scripted_engine.h"
#include "tests/unit/daemon/services/store_fixture.h"

namespace hostcall::daemon {
namespace {

using store::OutcomeCode;
using test::put_request;
using v1::Store::Delete;
using v1::Store::Put;
using v1::Store::Txn;

store::Outcome done_at(store::Revision revision) {
  store::Outcome outcome;
  outcome.succeeded = true;
  outcome.revision = revision;
  outcome.results = {{store::Operation::Kind::kPut, nullptr}};
  return outcome;
}

class StoreWriteTest : public test::ServicesFixture {
 protected:
  StoreWriteTest() { serve(engine_); }
  const store::Transaction& submitted() const { return engine_.submitted.back()->transaction; }
  test::ScriptedEngine engine_;
};

TEST_F(StoreWriteTest, IsAnsweredWhenItIsOnTheDisk) {
  const auto caller = guest("web1");
  const auto stream = start<Put>(*caller, put_request("/self/k", "value"));
  ASSERT_EQ(engine_.submitted.size(), 1u);
  EXPECT_EQ(submitted().then.front().key, "/vm/web1/k");
  EXPECT_EQ(submitted().then.front().value, "value");
  EXPECT_TRUE(is_quiet(*caller));
  EXPECT_EQ(used("web1", Resource::kMemory), store::bytes_of(submitted()));
  EXPECT_EQ(used("web1", Resource::kStreams), 1u);
  engine_.answer(done_at(12));
  settle();
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
  EXPECT_EQ(finish<Put>(*caller, stream).message.revision(), 12);
}

TEST_F(StoreWriteTest, SaysWhoWritesAndWithinWhichLimits) {
  limit("web1", [](Limits& limits) { limits.store_keys = 5; });
  const auto caller = guest("web1", "boot-3"), plain = peer("db1"), host = admin();
  start<Put>(*caller, put_request("/self/k", ""));
  EXPECT_EQ(submitted().writer, "web1");
  EXPECT_EQ(submitted().boot_holder, "web1/boot-3");
  EXPECT_EQ(submitted().session_holder, "1");
  ASSERT_TRUE(submitted().limits);
  EXPECT_EQ(submitted().limits->keys, 5u);
  EXPECT_EQ(submitted().limits->bytes, Limits{}.store_bytes);
  start<Put>(*plain, put_request("/self/k", ""));
  EXPECT_EQ(submitted().writer, "db1");
  EXPECT_EQ(submitted().boot_holder, "") << "it has not told any";
  EXPECT_EQ(submitted().session_holder, "2");
  start<Put>(*host, put_request("/vm/web1/k", ""));
  EXPECT_EQ(submitted().writer, "");
  EXPECT_FALSE(submitted().limits);
}

TEST_F(StoreWriteTest, TellsEachFailureOfTheDisk) {
  const auto caller = guest("web1");
  const auto put = [&](OutcomeCode code) {
    const auto stream = start<Put>(*caller, put_request("/self/k", "v"));
    engine_.answer(store::refused(code, "the disk is ill"));
    settle();
    return finish<Put>(*caller, stream).status;
  };
  const auto full = put(OutcomeCode::kDiskFull);
  expect_refused(full, Code::kResourceExhausted, "nothing was written: the disk is ill; make room on the host");
  EXPECT_EQ(full.retry_after, seconds(1));
  EXPECT_EQ(rig_.stats.calls_limited, 1u);
  expect_refused(put(OutcomeCode::kDiskFailed), Code::kUnavailable, "the outcome is unknown: the disk is ill");
  expect_refused(put(OutcomeCode::kReadOnly), Code::kUnavailable, "nothing was written: the disk is ill");
  expect_refused(put(OutcomeCode::kInvalid), Code::kInvalidArgument, "the disk is ill");
}

TEST_F(StoreWriteTest, ACancelledWriteIsDropped) {
  const auto caller = guest("web1");
  const auto stream = start<Put>(*caller, put_request("/self/k", "v"));
  caller->cancel(stream);
  settle();
  EXPECT_TRUE(engine_.submitted.front()->dropped);
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
  EXPECT_EQ(used("web1", Resource::kStreams), 0u);
  engine_.answer(done_at(12));
  settle();
  EXPECT_TRUE(is_quiet(*caller));
}

TEST_F(StoreWriteTest, ADeadlineAndTheEndOfTheConnectionDropItToo) {
  auto caller = guest("web1");
  const auto stream = start<Put>(*caller, put_request("/self/k", "v"), seconds(2));
  advance(seconds(2) - milliseconds(1));
  EXPECT_FALSE(engine_.submitted.front()->dropped);
  advance(milliseconds(1));
  EXPECT_TRUE(engine_.submitted.front()->dropped);
  EXPECT_EQ(finish<Put>(*caller, stream).status.code, Code::kDeadlineExceeded);
  start<Put>(*caller, put_request("/self/k", "v"));
  EXPECT_FALSE(engine_.submitted.back()->dropped);
  caller.reset();
  settle();
  EXPECT_TRUE(engine_.submitted.back()->dropped);
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
}

TEST_F(StoreWriteTest, WritesThatWaitAreChargedAsMemory) {
  limit("web1", [](Limits& limits) {
    limits.memory_bytes = 64 * 1024;
    limits.message_bytes = 48 * 1024;
  });
  const auto caller = guest("web1");
  const std::string value(30 * 1024, 'v');
  for (int i = 0; i < 2; ++i) start<Put>(*caller, put_request("/self/k", value));
  expect_refused(call<Put>(*caller, put_request("/self/k", value)).status, Code::kResourceExhausted,
                 "VM \"web1\": the limit memory_bytes (65536) is reached; write less at once");
  EXPECT_EQ(engine_.submitted.size(), 2u);
  engine_.answer(done_at(1));
  settle();
  start<Put>(*caller, put_request("/self/k", value));
  EXPECT_EQ(engine_.submitted.size(), 2u) << "there is room for one again";
}

TEST_F(StoreWriteTest, AnAnswerIsKeptUnderItsIdempotencyKey) {
  const auto caller = guest("web1");
  auto request = put_request("/self/k", "v");
  request.set_idempotency_key("once");
  const auto stream = start<Put>(*caller, request);
  ASSERT_TRUE(submitted().idempotency);
  EXPECT_EQ(submitted().idempotency->owner, "web1");
  EXPECT_EQ(submitted().idempotency->key, "once");
  const auto fingerprint = submitted().idempotency->fingerprint;
  const auto bytes = submitted().idempotency->encode(done_at(12));
  v1::PutResponse kept;
  ASSERT_TRUE(kept.ParseFromString(bytes));
  EXPECT_EQ(kept.revision(), 12);
  store::Outcome again;
  again.replayed = true;
  again.answer = bytes;
  engine_.answer(again);
  settle();
  EXPECT_EQ(finish<Put>(*caller, stream).message.revision(), 12) << "of a replay there is nothing but these bytes";

  start<Put>(*caller, request);
  EXPECT_EQ(submitted().idempotency->fingerprint, fingerprint);
  request.set_value("w");
  start<Put>(*caller, request);
  EXPECT_NE(submitted().idempotency->fingerprint, fingerprint);
  v1::DeleteRequest erase;
  erase.set_key("/self/k");
  erase.set_idempotency_key("once");
  start<Delete>(*caller, erase);
  EXPECT_NE(submitted().idempotency->fingerprint, fingerprint);
  const auto host = admin();
  request.set_key("/shared/k");
  start<Put>(*host, request);
  EXPECT_EQ(submitted().idempotency->owner, "@admin");
}

TEST_F(StoreWriteTest, ATransactionThatOnlyReadsNeverWaits) {
  const auto caller = guest("web1");
  v1::TxnRequest request;
  request.add_then()->mutable_get()->set_key("/self/k");
  engine_.read_outcome = {.succeeded = true, .revision = 7, .results = {{store::Operation::Kind::kGet, nullptr}}};
  const auto response = must<Txn>(*caller, request);
  EXPECT_TRUE(response.succeeded());
  EXPECT_EQ(response.revision(), 7);
  EXPECT_TRUE(response.results(0).has_get());
  EXPECT_TRUE(engine_.submitted.empty());
  engine_.read_outcome = store::refused(OutcomeCode::kInvalid, "no such thing");
  expect_refused(call<Txn>(*caller, request).status, Code::kInvalidArgument, "no such thing");
}

}  // namespace
}  // namespace hostcall::daemon
