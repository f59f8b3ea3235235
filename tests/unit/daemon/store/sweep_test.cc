// Sweeps: which keys each kind deletes, and in which steps.
#include "daemon/store/sweep.h"

#include <gtest/gtest.h>

#include "daemon/store/batch_maker.h"
#include "tests/unit/daemon/store/records.h"

namespace hostcall::daemon::store {
namespace {

void apply(Model& model, const Draft& draft) {
  Batch batch;
  batch.events = draft.events();
  batch.revision = draft.revision();
  model.apply(batch);
}

// Runs steps until the last one, each as a batch of its own, and returns the number of keys of each.
std::vector<std::size_t> run(Model& model, Sweep& sweep) {
  std::vector<std::size_t> steps;
  for (bool more = true; more;) {
    auto draft = Draft::on(model);
    more = sweep_step(sweep, model, draft);
    steps.push_back(draft.events().size());
    apply(model, draft);
    sweep_on(sweep);
  }
  return steps;
}
std::vector<std::size_t> sweep(Model& model, Sweep what) { return run(model, what); }

void put(Model& model, const std::string& key, Lifetime lifetime, const std::string& boot, const std::string& session) {
  auto transaction = of_vm_a({put_of(key, "v", lifetime)});
  transaction.boot_holder = boot;
  transaction.session_holder = session;
  ASSERT_EQ(commit(model, transaction).code, OutcomeCode::kDone);
}

class SweepTest : public testing::Test {
 protected:
  void SetUp() override {
    put(model, "/vm/a/persistent", Lifetime::kPersistent, "a/1", "s1");
    put(model, "/vm/a/boot1", Lifetime::kBoot, "a/1", "s1");
    put(model, "/vm/a/boot2", Lifetime::kBoot, "a/2", "s1");
    put(model, "/vm/a/session1", Lifetime::kSession, "a/1", "s1");
    put(model, "/shared/session2", Lifetime::kSession, "a/1", "s2");
    put(model, "/shared/session21", Lifetime::kSession, "a/1", "s21");
    put(model, "/vm/ab/boot1", Lifetime::kBoot, "ab/1", "s3");
  }
  std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    for (const auto& record : model.index()) keys.emplace_back(record->key());
    return keys;
  }
  Model model{HistoryLimits{}};
};

TEST_F(SweepTest, OneSession) {
  sweep(model, {.kind = Sweep::Kind::kSession, .text = "s2"});
  EXPECT_EQ(keys(), (std::vector<std::string>{"/shared/session21", "/vm/a/boot1", "/vm/a/boot2", "/vm/a/persistent",
                                              "/vm/a/session1", "/vm/ab/boot1"}));
}

TEST_F(SweepTest, AllSessions) {
  sweep(model, {.kind = Sweep::Kind::kAllSessions});
  EXPECT_EQ(keys(), (std::vector<std::string>{"/vm/a/boot1", "/vm/a/boot2", "/vm/a/persistent", "/vm/ab/boot1"}));
}

TEST_F(SweepTest, OldBootsOfOneVm) {
  sweep(model, {.kind = Sweep::Kind::kBoots, .text = "a", .except = "a/2"});
  EXPECT_EQ(model.find("/vm/a/boot1"), nullptr);
  EXPECT_NE(model.find("/vm/a/boot2"), nullptr);
  EXPECT_NE(model.find("/vm/ab/boot1"), nullptr);
}

TEST_F(SweepTest, OneVm) {
  sweep(model, {.kind = Sweep::Kind::kVm, .text = "a"});
  EXPECT_EQ(keys(), (std::vector<std::string>{"/shared/session2", "/shared/session21", "/vm/ab/boot1"}));
  EXPECT_EQ(model.holders().size(), 3u);
}

TEST_F(SweepTest, AKeyThatLostItsLifetimeStays) {
  put(model, "/shared/session2", Lifetime::kPersistent, "a/1", "s2");
  EXPECT_EQ(sweep(model, {.kind = Sweep::Kind::kSession, .text = "s2"}), std::vector<std::size_t>{0});
}

TEST_F(SweepTest, SeesWhatTheBatchHasWritten) {
  auto batch = Draft::on(model);
  auto draft = Draft::on(batch);
  const auto outcome =
      evaluate(of_vm_a({put_of("/vm/a/late", "", Lifetime::kSession), delete_of("/vm/a/session1")}), draft);
  ASSERT_EQ(outcome.code, OutcomeCode::kDone);
  batch.absorb(draft);
  Sweep session{.kind = Sweep::Kind::kSession, .text = "s1"};
  EXPECT_FALSE(sweep_step(session, model, batch)) << "it is the only step";
  EXPECT_EQ(batch.find("/vm/a/late"), nullptr);
  ASSERT_EQ(batch.events().size(), 3u) << "the key that was deleted before is not deleted again";
  EXPECT_EQ(batch.events()[2].revision(), batch.events()[1].revision() + 1);
}

TEST(SweepSteps, AreBoundedByKeysAndBytes) {
  Model model{HistoryLimits{}};
  for (int i = 0; i < 300; ++i) commit(model, of_vm_a({put_of("/vm/a/" + std::to_string(i), "")}));
  EXPECT_EQ(sweep(model, {.kind = Sweep::Kind::kVm, .text = "a"}), (std::vector<std::size_t>{128, 128, 44}));
  for (int i = 0; i < 10; ++i) commit(model, of_vm_a({put_of("/vm/a/" + std::to_string(i), std::string(65536, 'x'))}));
  EXPECT_EQ(sweep(model, {.kind = Sweep::Kind::kVm, .text = "a"}), (std::vector<std::size_t>{8, 2}));
}

// A batch that has no room for all of a sweep's steps.
TEST_F(SweepTest, ASweepInSeveralBatchesMissesNothingOfTheFirst) {
  for (int i = 0; i < 300; ++i) put(model, "/vm/a/m" + std::to_string(i), Lifetime::kSession, "a/1", "s1");
  auto batch = Draft::on(model);
  auto draft = Draft::on(batch);
  std::vector<Operation> late;
  for (int i = 0; i < 128; ++i) late.push_back(put_of("/vm/a/late" + std::to_string(i), "", Lifetime::kSession));
  ASSERT_EQ(evaluate(of_vm_a(late), draft).code, OutcomeCode::kDone);
  batch.absorb(draft);
  Sweep session{.kind = Sweep::Kind::kSession, .text = "s1"};
  ASSERT_TRUE(sweep_step(session, model, batch));
  apply(model, batch);
  sweep_on(session);
  run(model, session);
  EXPECT_EQ(model.holders().lower_bound(HolderOrder::Point{Lifetime::kSession, "s1"})->get()->holder(), "s2");
}

TEST_F(SweepTest, OneWhoseBatchFailedBeginsAgain) {
  Sweep session{.kind = Sweep::Kind::kSession, .text = "s1"};
  auto lost = Draft::on(model);
  EXPECT_FALSE(sweep_step(session, model, lost));
  sweep_again(session, model);
  EXPECT_EQ(run(model, session), std::vector<std::size_t>{1});
  EXPECT_EQ(model.find("/vm/a/session1"), nullptr);
}

TEST_F(SweepTest, WhatIsWrittenAfterItsFirstStepStays) {
  using enum Sweep::Kind;
  for (Sweep what : {Sweep{.kind = kVm, .text = "a"}, Sweep{.kind = kSession, .text = "s1"},
                     Sweep{.kind = kAllSessions}, Sweep{.kind = kBoots, .text = "a", .except = "a/3"}}) {
    const auto lifetime = what.kind == kBoots ? Lifetime::kBoot : Lifetime::kSession;
    for (int i = 0; i < 200; ++i) put(model, "/vm/a/m" + std::to_string(i), lifetime, "a/1", "s1");
    auto batch = Draft::on(model);
    ASSERT_TRUE(sweep_step(what, model, batch));
    apply(model, batch);
    sweep_on(what);
    put(model, "/vm/a/m99", lifetime, "a/1", "s1");
    put(model, "/vm/a/z", lifetime, "a/1", "s1");
    run(model, what);
    EXPECT_NE(model.find("/vm/a/m99"), nullptr) << "written again";
    EXPECT_NE(model.find("/vm/a/z"), nullptr);
    EXPECT_EQ(model.find("/vm/a/m98"), nullptr);
  }
}

// The revisions of a failed batch are given again.
TEST_F(SweepTest, WhatIsWrittenAfterItsBatchFailedStays) {
  Sweep session{.kind = Sweep::Kind::kSession, .text = "s1"};
  auto lost = Draft::on(model);
  auto draft = Draft::on(lost);
  ASSERT_EQ(evaluate(of_vm_a({put_of("/vm/a/lost", "", Lifetime::kSession)}), draft).code, OutcomeCode::kDone);
  lost.absorb(draft);
  EXPECT_FALSE(sweep_step(session, model, lost));
  sweep_again(session, model);
  put(model, "/vm/a/late", Lifetime::kSession, "a/1", "s1");
  EXPECT_EQ(run(model, session), std::vector<std::size_t>{1});
  EXPECT_EQ(model.find("/vm/a/session1"), nullptr);
  EXPECT_NE(model.find("/vm/a/late"), nullptr);
}

// Each record is looked at once, however many steps there are in a batch, and others' hardly at all.
TEST(SweepCost, GrowsWithTheKeysOnly) {
  for (const std::size_t keys : {1'000u, 16'000u}) {
    Model model{HistoryLimits{}};
    for (std::size_t i = 0; i < keys; ++i) {
      put(model, "/vm/a/gone" + std::to_string(i), Lifetime::kBoot, "a/1", "s1");
      put(model, "/vm/a/stays" + std::to_string(i), Lifetime::kBoot, "a/2", "s1");
    }
    Sweep boots{.kind = Sweep::Kind::kBoots, .text = "a", .except = "a/2"};
    auto batch = Draft::on(model);
    while (sweep_step(boots, model, batch)) {
    }
    EXPECT_EQ(batch.events().size(), keys);
    EXPECT_LE(boots.progress.looked_at, keys + keys / 100) << "a record at which a step ends is looked at twice";
  }
}

TEST(SweepCost, AStepLooksAtSoManyRecordsAtMost) {
  Model model{HistoryLimits{}};
  for (std::size_t i = 0; i < 5 * kMaxSweepLook; ++i)
    put(model, "/vm/a/" + std::to_string(i), Lifetime::kBoot, "a/2", "s1");
  auto batch = Draft::on(model);
  for (std::size_t i = 0; i < 2 * kMaxSweepLook; ++i) {
    auto one = Draft::on(batch);
    ASSERT_EQ(evaluate(of_vm_a({put_of("/vm/b/" + std::to_string(i), "")}), one).code, OutcomeCode::kDone);
    batch.absorb(one);
  }
  const auto before = batch.events().size();
  Sweep session{.kind = Sweep::Kind::kSession, .text = "s1"};
  EXPECT_TRUE(sweep_step(session, model, batch));
  EXPECT_EQ(session.progress.looked_at, kMaxSweepLook);
  EXPECT_EQ(batch.events().size(), before) << "none of them is the session's";
}

// Even at keys that an earlier sweep of the batch has deleted, and at those that stay.
TEST(SweepCost, RecordsThatAreLookedAtFillABatch) {
  Model model{HistoryLimits{}};
  for (std::size_t i = 0; i < 500; ++i) put(model, "/vm/a/" + std::to_string(i), Lifetime::kBoot, "a/1", "s1");
  BatchMaker batch(model, false);
  std::size_t looked_at = 0;
  for (int boot = 0; boot < 100 && !batch.full(); ++boot) {
    Sweep sweep{.kind = Sweep::Kind::kBoots, .text = "a", .except = "a/new" + std::to_string(boot)};
    EXPECT_TRUE(batch.add(sweep) || batch.full());
    looked_at += sweep.progress.looked_at;
  }
  EXPECT_TRUE(batch.full());
  EXPECT_GE(looked_at, BatchMaker::kMaxBatchSteps);
  EXPECT_LE(looked_at, BatchMaker::kMaxBatchSteps + kMaxSweepLook) << "the last step may exceed it";
}

}  // namespace
}  // namespace hostcall::daemon::store
