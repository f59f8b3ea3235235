// The engine on a real file: order, batches, tickets, idempotency, charges and lifetimes, each also after a reload.
#include "daemon/store/local_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "daemon/store/batch_maker.h"
#include "tests/unit/daemon/store/engine_fixture.h"

namespace hostcall::daemon::store {
namespace {

class LocalEngineTest : public EngineTest {
 protected:
  // A transaction whose answer is its revision.
  static Transaction once(std::string key, std::vector<Operation> operations, std::string fingerprint = "f") {
    auto transaction = of_vm_a(std::move(operations));
    transaction.idempotency = Idempotency{"a", std::move(key), std::move(fingerprint),
                                          [](const Outcome& outcome) { return std::to_string(outcome.revision); }};
    return transaction;
  }
  std::vector<std::string> keys(std::string_view prefix) const {
    std::vector<std::string> keys;
    engine->scan(prefix, "", [&](const Ref& record) {
      keys.emplace_back(record->key());
      return true;
    });
    return keys;
  }
};

TEST_F(LocalEngineTest, IsThereAfterAReload) {
  EXPECT_EQ(engine->revision(), 0);
  EXPECT_EQ(put("/vm/a/x", std::string("\0\xFF", 2)).revision, 1);
  EXPECT_EQ(put("/vm/a/x", "2", Lifetime::kBoot).revision, 2);
  EXPECT_EQ(put("/shared/empty", "").revision, 3);
  EXPECT_EQ(put("/vm/a/gone", "").revision, 4);
  EXPECT_EQ(remove("/vm/a/gone").revision, 5);
  const auto before = engine->usage("a");
  open();
  EXPECT_EQ(engine->revision(), 5);
  const auto record = engine->get("/vm/a/x");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->value(), "2");
  EXPECT_EQ(record->create_revision(), 1);
  EXPECT_EQ(record->mod_revision(), 2);
  EXPECT_EQ(record->version(), 2);
  EXPECT_EQ(record->lifetime(), Lifetime::kBoot);
  EXPECT_EQ(record->holder(), "a/b1");
  EXPECT_EQ(record->owner(), "a");
  EXPECT_EQ(value_of(*engine, "/shared/empty"), "");
  EXPECT_EQ(engine->get("/vm/a/gone"), nullptr);
  EXPECT_EQ(engine->usage("a"), before);
  EXPECT_EQ(before, (Usage{2, 8 + 13}));
  EXPECT_EQ(put("/vm/a/y", "").revision, 6);
}

TEST_F(LocalEngineTest, NothingIsSeenBeforeItIsCommitted) {
  std::optional<Outcome> outcome;
  const auto ticket = engine->submit(of_vm_a({put_of("/vm/a/x", "1")}), [&](const Outcome& got) { outcome = got; });
  EXPECT_EQ(engine->get("/vm/a/x"), nullptr);
  engine->process();
  EXPECT_FALSE(outcome.has_value()) << "it is with the writer";
  EXPECT_EQ(engine->get("/vm/a/x"), nullptr);
  EXPECT_EQ(engine->revision(), 0);
  ASSERT_TRUE(run_until(*engine, [&] { return outcome.has_value(); }));
  EXPECT_EQ(value_of(*engine, "/vm/a/x"), "1");
}

TEST_F(LocalEngineTest, WritesThatComeTogetherShareACommit) {
  std::vector<std::unique_ptr<Ticket>> tickets;
  std::vector<Revision> revisions;
  for (int i = 0; i < 100; ++i)
    tickets.push_back(engine->submit(of_vm_a({put_of("/vm/a/" + std::to_string(i % 10), std::to_string(i))}),
                                     [&](const Outcome& outcome) { revisions.push_back(outcome.revision); }));
  ASSERT_TRUE(run_until(*engine, [&] { return revisions.size() == 100; }));
  EXPECT_EQ(engine->stats().commits, 1u);
  EXPECT_EQ(engine->stats().transactions, 100u);
  for (Revision i = 0; i < 100; ++i) EXPECT_EQ(revisions[static_cast<std::size_t>(i)], i + 1) << "in order";
  open();
  EXPECT_EQ(value_of(*engine, "/vm/a/7"), "97");
  EXPECT_EQ(engine->get("/vm/a/7")->version(), 10);
  EXPECT_EQ(engine->stats().history_events, 100u);
}

TEST_F(LocalEngineTest, ABatchIsBounded) {
  std::vector<std::unique_ptr<Ticket>> tickets;
  std::size_t answers = 0;
  for (int i = 0; i < 513; ++i)
    tickets.push_back(engine->submit(of_vm_a({put_of("/vm/a/x", "")}), [&](const Outcome&) { ++answers; }));
  ASSERT_TRUE(run_until(*engine, [&] { return answers == 513; }));
  EXPECT_EQ(engine->stats().commits, 2u);
}

// Comparisons cost time, too, and all of them are made in the turn that begins the batch.
TEST_F(LocalEngineTest, ABatchIsBoundedInSteps) {
  put("/vm/a/x", "");
  auto transaction = of_vm_a({put_of("/vm/a/x", "")});
  transaction.compare.assign(kMaxSteps - 1, {.key = "/vm/a/x", .relation = Relation::kGreater});
  std::vector<std::unique_ptr<Ticket>> tickets;
  for (std::size_t i = 0; i < 2 * BatchMaker::kMaxBatchSteps / kMaxSteps; ++i)
    tickets.push_back(engine->submit(transaction, {}));
  const auto before = engine->stats().commits;
  settle(*engine);
  EXPECT_EQ(engine->stats().commits - before, 2u);
}

// Nobody is charged for them any more.
TEST_F(LocalEngineTest, WritesThatAreDroppedMeanwhileLeaveTheQueue) {
  const auto in_flight = engine->submit(of_vm_a({put_of("/vm/a/first", "")}), {});
  engine->process();
  std::vector<std::unique_ptr<Ticket>> kept;
  for (int i = 0; i < 10; ++i) kept.push_back(engine->submit(of_vm_a({put_of("/vm/a/x", std::to_string(i))}), {}));
  std::size_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    (void)engine->submit(of_vm_a({put_of("/vm/a/x", "dropped")}), {});
    most = std::max<std::size_t>(most, engine->stats().queue);
  }
  EXPECT_LE(most, 2u * 11 + 2);
  settle(*engine);
  EXPECT_EQ(value_of(*engine, "/vm/a/x"), "9");
  for (int i = 0; i < 3; ++i) (void)engine->submit(of_vm_a({put_of("/vm/a/x", "dropped")}), {});
  EXPECT_EQ(put("/vm/a/x", "last").code, OutcomeCode::kDone) << "and are counted right";
}

// Each watch is told of each event when the batch is committed.
TEST_F(LocalEngineTest, ABatchIsSmallerBesideManyWatches) {
  struct Deaf final : Watcher {
    void on_ready() override {}
    bool keep(std::size_t) override { return true; }
  } watcher;
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < 1024; ++i) watches.push_back(engine->watch({.prefix = "/vm/a/"}, watcher));
  std::vector<std::unique_ptr<Ticket>> tickets;
  for (int i = 0; i < 128; ++i) tickets.push_back(engine->submit(of_vm_a({put_of("/vm/a/x", "")}), {}));
  settle(*engine);
  EXPECT_EQ(engine->stats().commits, 128u / (BatchMaker::kMaxOffers / 1024));
}

// As thousands of sessions do that are over while a commit waits for its disk.
TEST_F(LocalEngineTest, SessionsThatHoldNothingLeaveNothingToDo) {
  auto holding = of_vm_a({put_of("/vm/a/held", "", Lifetime::kSession)});
  holding.session_holder = "s1";
  const auto put_ticket = engine->submit(holding, {});
  auto plain = of_vm_a({put_of("/vm/a/x", "")});
  plain.session_holder = "s2";
  const auto other_ticket = engine->submit(plain, {});
  engine->process();
  const auto before = engine->stats().queue;
  for (int i = 0; i < 1000; ++i) engine->end_session("none" + std::to_string(i));
  engine->end_session("s2");
  EXPECT_EQ(engine->stats().queue, before);
  for (int i = 0; i < 3; ++i) engine->end_session("s1");
  EXPECT_EQ(engine->stats().queue, before + 1) << "its key may come with the commit in flight";
  settle(*engine);
  EXPECT_EQ(value_of(*engine, "/vm/a/held"), "(none)");
  EXPECT_EQ(value_of(*engine, "/vm/a/x"), "");
}

TEST_F(LocalEngineTest, WithoutAChangeThereIsNoCommit) {
  EXPECT_EQ(remove("/vm/a/none").revision, 0);
  EXPECT_EQ(write(*engine, of_vm_a({get_of("/vm/a/none")})).code, OutcomeCode::kDone);
  EXPECT_EQ(engine->stats().commits, 0u);
}

TEST_F(LocalEngineTest, ReadsAreAnsweredAtOnce) {
  put("/vm/a/x", "1");
  auto transaction = of_vm_a({get_of("/vm/a/x")});
  transaction.compare = {{.key = "/vm/a/x", .number = 1}};
  const auto outcome = engine->read(transaction);
  EXPECT_TRUE(outcome.succeeded);
  EXPECT_EQ(outcome.revision, 1);
  ASSERT_EQ(outcome.results.size(), 1u);
  EXPECT_EQ(outcome.results[0].record->value(), "1");
}

TEST_F(LocalEngineTest, ATicketDestroyedEarlyDropsTheTransaction) {
  bool called = false;
  engine->submit(of_vm_a({put_of("/vm/a/x", "1")}), [&](const Outcome&) { called = true; }).reset();
  settle(*engine);
  put("/vm/a/y", "1");
  EXPECT_EQ(engine->get("/vm/a/x"), nullptr);
  EXPECT_FALSE(called);
}

TEST_F(LocalEngineTest, ATicketDestroyedLateOnlyForgetsTheCallback) {
  bool called = false;
  auto ticket = engine->submit(of_vm_a({put_of("/vm/a/x", "1")}), [&](const Outcome&) { called = true; });
  engine->process();
  ticket.reset();
  settle(*engine);
  EXPECT_EQ(value_of(*engine, "/vm/a/x"), "1");
  EXPECT_FALSE(called);
}

TEST_F(LocalEngineTest, ACallbackMayDestroyItsTicketAndSubmitMore) {
  std::unique_ptr<Ticket> first, second;
  bool done = false;
  first = engine->submit(of_vm_a({put_of("/vm/a/x", "1")}), [&](const Outcome&) {
    second = engine->submit(of_vm_a({put_of("/vm/a/x", "2")}), [&](const Outcome&) { done = true; });
    first.reset();
  });
  ASSERT_TRUE(run_until(*engine, [&] { return done; }));
  EXPECT_EQ(value_of(*engine, "/vm/a/x"), "2");
}

TEST_F(LocalEngineTest, ARepetitionGetsTheFirstAnswer) {
  EXPECT_EQ(write(*engine, once("k", {put_of("/vm/a/x", "1")})).answer, "1");
  put("/vm/a/x", "other");
  auto again = write(*engine, once("k", {put_of("/vm/a/x", "1")}));
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.answer, "1");
  EXPECT_EQ(value_of(*engine, "/vm/a/x"), "other") << "not done twice";
  EXPECT_EQ(write(*engine, once("k", {put_of("/vm/a/x", "3")}, "g")).code, OutcomeCode::kKeyReused);
  open();
  again = write(*engine, once("k", {put_of("/vm/a/x", "1")}));
  EXPECT_TRUE(again.replayed) << "after a restart, too";
  EXPECT_EQ(again.answer, "1");
  EXPECT_EQ(engine->revision(), 2);
}

TEST_F(LocalEngineTest, ARepetitionInTheSameBatchIsNotDoneTwice) {
  std::vector<Outcome> outcomes;
  std::vector<std::unique_ptr<Ticket>> tickets;
  for (int i = 0; i < 2; ++i)
    tickets.push_back(engine->submit(once("k", {put_of("/vm/a/x", "1")}),
                                     [&](const Outcome& outcome) { outcomes.push_back(outcome); }));
  ASSERT_TRUE(run_until(*engine, [&] { return outcomes.size() == 2; }));
  EXPECT_EQ(outcomes[1].answer, "1");
  EXPECT_TRUE(outcomes[1].replayed);
  EXPECT_EQ(engine->get("/vm/a/x")->version(), 1);
}

TEST_F(LocalEngineTest, AnEmptyOutcomeIsRememberedToo) {
  EXPECT_EQ(write(*engine, once("k", {delete_of("/vm/a/x")})).answer, "0");
  put("/vm/a/x", "1");
  open();
  EXPECT_TRUE(write(*engine, once("k", {delete_of("/vm/a/x")})).replayed);
  EXPECT_EQ(value_of(*engine, "/vm/a/x"), "1") << "the first time there was nothing to delete";
}

TEST_F(LocalEngineTest, ForgottenAnswersGoFromTheDisk) {
  std::vector<std::unique_ptr<Ticket>> tickets;
  for (std::size_t i = 0; i < kMaxAnswers + 10; ++i)
    tickets.push_back(engine->submit(once(std::to_string(i), {put_of("/vm/a/x", "")}), {}));
  settle(*engine);
  EXPECT_EQ(engine->stats().answers, kMaxAnswers);
  put("/vm/a/y", "");
  open();
  EXPECT_EQ(engine->stats().answers, kMaxAnswers);
  EXPECT_FALSE(write(*engine, once("0", {put_of("/vm/a/x", "")})).replayed);
  EXPECT_TRUE(write(*engine, once("1000", {put_of("/vm/a/x", "")})).replayed);
}

TEST_F(LocalEngineTest, ALongAnswerIsRefused) {
  auto transaction = once("k", {put_of("/vm/a/x", "")});
  transaction.idempotency->encode = [](const Outcome&) { return std::string(kMaxAnswerBytes + 1, 'x'); };
  EXPECT_EQ(write(*engine, transaction).code, OutcomeCode::kInvalid);
  EXPECT_EQ(engine->revision(), 0);
}

TEST_F(LocalEngineTest, WhatCantBeAnsweredIsNotDone) {
  auto transaction = once("k", {put_of("/vm/a/x", "1")});
  int asked = 0;
  transaction.accept = [&](const Outcome& outcome) {
    ++asked;
    EXPECT_EQ(outcome.revision, 1);
    return false;
  };
  EXPECT_EQ(write(*engine, transaction).code, OutcomeCode::kNoRoom);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(engine->revision(), 0);
  EXPECT_EQ(engine->stats().answers, 0u);
  transaction.accept = nullptr;
  EXPECT_FALSE(write(*engine, transaction).replayed);
  transaction.accept = [](const Outcome& outcome) { return !outcome.replayed; };
  EXPECT_EQ(write(*engine, transaction).code, OutcomeCode::kNoRoom) << "a repetition is asked about, too";
}

TEST_F(LocalEngineTest, LimitsHoldWithinABatchAndAfterAReload) {
  const auto limited = [](const std::string& key) {
    auto transaction = of_vm_a({put_of(key, "")});
    transaction.limits = OwnerLimits{2, 1000};
    return transaction;
  };
  std::vector<OutcomeCode> verdicts;
  std::vector<std::unique_ptr<Ticket>> tickets;
  for (const auto* key : {"/vm/a/1", "/shared/2", "/vm/a/3"})
    tickets.push_back(engine->submit(limited(key), [&](const Outcome& outcome) { verdicts.push_back(outcome.code); }));
  ASSERT_TRUE(run_until(*engine, [&] { return verdicts.size() == 3; }));
  EXPECT_EQ(verdicts, (std::vector<OutcomeCode>{OutcomeCode::kDone, OutcomeCode::kDone, OutcomeCode::kKeysLimit}));
  open();
  EXPECT_EQ(engine->usage("a"), (Usage{2, 7 + 9}));
  EXPECT_EQ(write(*engine, limited("/vm/a/3")).code, OutcomeCode::kKeysLimit);
  remove("/shared/2");
  EXPECT_EQ(write(*engine, limited("/vm/a/3")).code, OutcomeCode::kDone);
}

TEST_F(LocalEngineTest, ScansPrefixesInOrder) {
  for (const auto* key : {"/vm/a/x", "/vm/a/x/1", "/vm/a/x-y", "/vm/ab/x", "/vm/a/y"}) put(key, "");
  EXPECT_EQ(keys("/vm/a/"), (std::vector<std::string>{"/vm/a/x", "/vm/a/x-y", "/vm/a/x/1", "/vm/a/y"}));
  EXPECT_EQ(keys("/vm/a/x/"), std::vector<std::string>{"/vm/a/x/1"});
  EXPECT_EQ(keys("/vm/a/x"), std::vector<std::string>{"/vm/a/x"});
  EXPECT_EQ(keys("/").size(), 5u);
  std::vector<std::string> page;
  engine->scan("/vm/a/", "/vm/a/x-y", [&](const Ref& record) {
    page.emplace_back(record->key());
    return false;
  });
  EXPECT_EQ(page, std::vector<std::string>{"/vm/a/x/1"});
  page.clear();
  engine->scan("/vm/a/x", "/vm/a/x", [&](const Ref& record) {
    page.emplace_back(record->key());
    return true;
  });
  EXPECT_EQ(page, std::vector<std::string>{}) << "a single key has no second page";
}

TEST_F(LocalEngineTest, SessionsAndBootsEnd) {
  put("/vm/a/session", "", Lifetime::kSession);
  put("/vm/a/boot", "", Lifetime::kBoot);
  put("/vm/a/stays", "");
  engine->end_session("s1");
  settle(*engine);
  EXPECT_EQ(keys("/"), (std::vector<std::string>{"/vm/a/boot", "/vm/a/stays"}));
  engine->end_boots("a", "b1");
  settle(*engine);
  EXPECT_NE(engine->get("/vm/a/boot"), nullptr) << "it is still this boot";
  engine->end_boots("a", "b2");
  settle(*engine);
  EXPECT_EQ(keys("/"), std::vector<std::string>{"/vm/a/stays"});
}

TEST_F(LocalEngineTest, WhatSessionsHeldIsGoneAtTheStart) {
  std::vector<std::unique_ptr<Ticket>> tickets;
  for (int i = 0; i < 200; ++i)
    tickets.push_back(
        engine->submit(of_vm_a({put_of("/vm/a/session" + std::to_string(i), "", Lifetime::kSession)}), {}));
  settle(*engine);
  put("/vm/a/boot", "", Lifetime::kBoot);
  open();
  EXPECT_EQ(keys("/"), std::vector<std::string>{"/vm/a/boot"});
  EXPECT_EQ(engine->revision(), 203) << "two steps, which watches see";
  EXPECT_EQ(engine->stats().history_events, 401u);
}

TEST_F(LocalEngineTest, PurgeTakesManyKeysAndForgetsAnswers) {
  for (int i = 0; i < 50; ++i) {
    std::vector<Operation> operations;
    for (int k = 0; k < 100; ++k) operations.push_back(put_of("/vm/a/" + std::to_string(i * 100 + k), ""));
    write(*engine, of_vm_a(operations));
  }
  write(*engine, once("k", {put_of("/shared/x", "")}));
  put("/vm/ab/x", "");
  std::optional<OutcomeCode> code;
  engine->purge("a", [&](OutcomeCode got) { code = got; });
  ASSERT_TRUE(run_until(*engine, [&] { return code.has_value(); }));
  EXPECT_EQ(code, OutcomeCode::kDone);
  EXPECT_EQ(keys("/"), (std::vector<std::string>{"/shared/x", "/vm/ab/x"}));
  EXPECT_EQ(engine->stats().answers, 0u);
  open();
  EXPECT_EQ(keys("/"), (std::vector<std::string>{"/shared/x", "/vm/ab/x"}));
  EXPECT_EQ(engine->stats().answers, 0u);
}

TEST_F(LocalEngineTest, APurgeForgetsWhatItsOwnBatchHasAnswered) {
  std::optional<Outcome> again;
  const auto before = engine->submit(once("k", {put_of("/vm/a/x", "")}), {});
  engine->purge("a", nullptr);
  const auto after = engine->submit(once("k", {put_of("/vm/a/x", "")}), [&](const Outcome& got) { again = got; });
  settle(*engine);
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->replayed) << "what it answers would not be there";
  EXPECT_EQ(keys("/"), std::vector<std::string>{"/vm/a/x"});
  EXPECT_EQ(engine->stats().answers, 1u);
}

// Between a long sweep's batches others have their turn.
TEST_F(LocalEngineTest, ALongSweepLetsOthersWrite) {
  std::vector<std::unique_ptr<Ticket>> tickets;
  constexpr int kTransactions = 40, kKeys = 100;
  for (int i = 0; i < kTransactions; ++i) {
    std::vector<Operation> operations;
    for (int k = 0; k < kKeys; ++k) operations.push_back(put_of("/vm/a/" + std::to_string(i * kKeys + k), ""));
    tickets.push_back(engine->submit(of_vm_a(std::move(operations)), {}));
  }
  settle(*engine);
  const auto commits = engine->stats().commits;
  std::size_t left = 0;
  engine->purge("a", nullptr);
  const auto ticket =
      engine->submit(of_vm_a({put_of("/vm/b/x", "1")}), [&](const Outcome&) { left = keys("/vm/a/").size(); });
  settle(*engine);
  EXPECT_GT(left, std::size_t{kTransactions * kKeys * 3 / 4});
  EXPECT_EQ(keys("/"), std::vector<std::string>{"/vm/b/x"});
  constexpr auto kKeysOfABatch = BatchMaker::kMaxSweepSteps * kMaxSteps;
  EXPECT_GE(engine->stats().commits - commits, kTransactions * kKeys / kKeysOfABatch);
}

// Overwriting and purging large values: each batch counts what it frees, so the log stays within its size.
TEST_F(LocalEngineTest, TheLogIsBoundedHoweverMuchIsFreed) {
  constexpr int kValues = 1000;
  const std::string value(65'000, 'v');
  std::uintmax_t largest = 0;
  const auto commit_all = [&] {
    EXPECT_TRUE(run_until(*engine, [&] {
      largest = std::max(largest, std::filesystem::file_size(dir / "store.db-wal"));
      return engine->stats().queue == 0;
    }));
  };
  for (int time = 0; time < 2; ++time) {
    std::vector<std::unique_ptr<Ticket>> tickets;
    for (int i = 0; i < kValues; ++i)
      tickets.push_back(engine->submit(of_vm_a({put_of("/vm/a/" + std::to_string(i), value)}), {}));
    commit_all();
  }
  engine->purge("a", nullptr);
  commit_all();
  RecordProperty("largest_log", std::to_string(largest));
  EXPECT_LE(largest, 26u * 1024 * 1024) << "16 MiB, and what one commit adds";
}

TEST_F(LocalEngineTest, TheHistoryIsBoundedOnDiskToo) {
  open(room_for_events(20));
  for (int i = 0; i < 50; ++i) put("/vm/a/x", std::to_string(i));
  EXPECT_EQ(engine->stats().history_events, 20u);
  EXPECT_EQ(engine->stats().compact_revision, 30);
  open(room_for_events(1000));
  EXPECT_LE(engine->stats().history_events, 21u) << "the disk follows by one commit";
  EXPECT_GE(engine->stats().compact_revision, 29);
}

TEST_F(LocalEngineTest, ASecondProcessIsRefused) {
  try {
    LocalEngine second(StoreOptions{.path = dir / "store.db"}, owner);
    FAIL() << "it must not open";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("locked"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace hostcall::daemon::store
