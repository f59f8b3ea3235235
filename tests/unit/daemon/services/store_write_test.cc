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
  outcome.results = {{store::Operation::Kind::kPut, nullptr, revision}};
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
  EXPECT_EQ(sum_of(rig_.stats.limits_hit), 1u);
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

// ---------------------------------------------------------------- room for the answer

store::Outcome done_with(std::size_t value_bytes) {
  auto outcome = done_at(12);
  outcome.results.front().record = store::make_record(
      {.key = "/vm/web1/k", .value = std::string(value_bytes, 'v'), .owner = {}, .holder = {}, .mod_revision = 1});
  return outcome;
}

TEST_F(StoreWriteTest, WhatCantBeAnsweredIsNotDone) {
  limit("web1", [](Limits& limits) { limits.outbound_bytes = 64 * 1024; });
  const auto caller = guest("web1");
  auto request = put_request("/self/k", "");
  request.set_previous(true);
  auto stream = start<Put>(*caller, request);
  engine_.settle(done_with(64 * 1024));
  settle();
  expect_refused(
      finish<Put>(*caller, stream).status, Code::kResourceExhausted,
      "the limit outbound_bytes (65536) is reached; the reply of 65642 bytes never fits; ask for less at once "
      "(nothing was done)");
  EXPECT_EQ(used("web1", Resource::kOutbound), 0u);
  stream = start<Put>(*caller, put_request("/self/k", ""));
  engine_.settle(done_with(64 * 1024));
  settle();
  EXPECT_TRUE(finish<Put>(*caller, stream).status.ok()) << "nobody asked for what was before";
}

// What others use up between the decision and the commit does not make a failure of what is done.
TEST_F(StoreWriteTest, WhatIsDoneIsAnsweredWhateverElseWaitsToBeSent) {
  const auto caller = guest("web1");
  auto request = put_request("/self/k", "");
  request.set_previous(true);
  const auto stream = start<Put>(*caller, request);
  ASSERT_TRUE(submitted().accept(done_with(40'000)));
  EXPECT_GT(used("web1", Resource::kOutbound), 40'000u);
  auto rest = Charge(rig_.vm("web1").quota, Resource::kOutbound);
  rest.set(Limits{}.outbound_bytes);
  engine_.answer(done_with(40'000));
  settle();
  const auto reply = finish<Put>(*caller, stream);
  ASSERT_TRUE(reply.status.ok()) << reply.status.message;
  EXPECT_EQ(reply.message.previous().value().size(), 40'000u);
  rest.reset();
  EXPECT_EQ(used("web1", Resource::kOutbound), 0u);
}

TEST_F(StoreWriteTest, ARepetitionThatCantBeAnsweredSaysThatItIsDone) {
  limit("web1", [](Limits& limits) { limits.outbound_bytes = 64 * 1024; });
  const auto caller = guest("web1");
  auto request = put_request("/self/k", "");
  request.set_idempotency_key("once");
  const auto stream = start<Put>(*caller, request);
  store::Outcome again;
  again.replayed = true;
  again.answer = std::string(100'000, 'x');
  engine_.settle(again);
  settle();
  expect_refused(finish<Put>(*caller, stream).status, Code::kResourceExhausted,
                 "(an earlier attempt has done this write)");
}

TEST_F(StoreWriteTest, AReadThatCantBeAnsweredIsRefusedBeforeItIsBuilt) {
  limit("web1", [](Limits& limits) { limits.outbound_bytes = 64 * 1024; });
  const auto caller = guest("web1");
  v1::TxnRequest request;
  for (int i = 0; i < 2; ++i) request.add_then()->mutable_get()->set_key("/self/k");
  engine_.read_outcome = {.succeeded = true, .revision = 7, .results = {}};
  for (int i = 0; i < 2; ++i)
    engine_.read_outcome.results.push_back({store::Operation::Kind::kGet, done_with(40'000).results.front().record, 7});
  expect_refused(call<Txn>(*caller, request).status, Code::kResourceExhausted, "can be sent now");
}

TEST_F(StoreWriteTest, ATransactionThatOnlyReadsNeverWaits) {
  const auto caller = guest("web1");
  v1::TxnRequest request;
  request.add_then()->mutable_get()->set_key("/self/k");
  engine_.read_outcome = {.succeeded = true, .revision = 7, .results = {{store::Operation::Kind::kGet, nullptr, 7}}};
  const auto response = must<Txn>(*caller, request);
  EXPECT_TRUE(response.succeeded());
  EXPECT_EQ(response.revision(), 7);
  EXPECT_TRUE(response.results(0).has_get());
  EXPECT_TRUE(engine_.submitted.empty());
  engine_.read_outcome = store::refused(OutcomeCode::kInvalid, "no such thing");
  expect_refused(call<Txn>(*caller, request).status, Code::kInvalidArgument, "no such thing");
}

// ---------------------------------------------------------------- watches

// It has sent all that the caller takes, so nothing is asked or built for it before the caller reads.
TEST_F(StoreWriteTest, ABlockedWatchCostsNothing) {
  const auto caller = guest("web1");
  const auto value = std::string(40'000, 'v');
  const auto record =
      store::make_record({.key = "/vm/web1/k", .value = value, .owner = {}, .holder = {}, .mod_revision = 1});
  engine_.delivery = {.kind = store::Delivery::Kind::kEvents, .revision = 1, .events = {{record, nullptr}}};
  v1::WatchRequest request;
  request.set_prefix("/self/");
  request.set_progress_interval_ms(100);
  std::vector<std::uint32_t> watches;
  for (int i = 0; i < 20; ++i) watches.push_back(start<v1::Store::Watch>(*caller, request));
  settle();
  EXPECT_LT(engine_.asked, 100u) << "the windows are full";
  const auto before = engine_.asked;
  advance(seconds(10));
  EXPECT_EQ(engine_.asked, before);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(receive<v1::Store::Watch>(*caller, watches[0]));
  EXPECT_FALSE(is_quiet(*caller));
  EXPECT_GT(engine_.asked, before) << "it goes on when the caller reads";
  engine_.delivery = store::Delivery{.revision = 7};
  for (const auto watch : watches) caller->cancel(watch);
  settle();
}

TEST_F(StoreWriteTest, AWatchThatHasSentAllShowsProgress) {
  const auto caller = guest("web1");
  engine_.delivery = store::Delivery{.revision = 7};
  v1::WatchRequest request;
  request.set_prefix("/self/");
  request.set_progress_interval_ms(100);
  const auto stream = start<v1::Store::Watch>(*caller, request);
  EXPECT_EQ(receive<v1::Store::Watch>(*caller, stream)->revision(), 7) << "the greeting";
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(is_quiet(*caller));
    advance(milliseconds(100));
    EXPECT_EQ(receive<v1::Store::Watch>(*caller, stream)->revision(), 7);
  }
}

}  // namespace
}  // namespace hostcall::daemon
