// Sweeps: which keys each kind deletes, and in which steps.
#include "daemon/store/sweep.h"

#include <gtest/gtest.h>

#include "tests/unit/daemon/store/records.h"

namespace hostcall::daemon::store {
namespace {

// Runs steps until nothing is left, and returns the number of keys of each.
std::vector<std::size_t> sweep(Model& model, const Sweep& what) {
  std::vector<std::size_t> steps;
  for (;;) {
    auto draft = Draft::on(model);
    if (!sweep_step(what, model, draft)) return steps;
    steps.push_back(draft.events().size());
    Batch batch;
    batch.events = draft.events();
    batch.revision = draft.revision();
    model.apply(batch);
  }
}

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
  EXPECT_EQ(sweep(model, {.kind = Sweep::Kind::kSession, .text = "s2"}), std::vector<std::size_t>{});
}

TEST_F(SweepTest, SeesWhatTheBatchHasWritten) {
  auto batch = Draft::on(model);
  auto draft = Draft::on(batch);
  const auto outcome =
      evaluate(of_vm_a({put_of("/vm/a/late", "", Lifetime::kSession), delete_of("/vm/a/session1")}), draft);
  ASSERT_EQ(outcome.code, OutcomeCode::kDone);
  batch.absorb(draft);
  EXPECT_TRUE(sweep_step({.kind = Sweep::Kind::kSession, .text = "s1"}, model, batch));
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

}  // namespace
}  // namespace hostcall::daemon::store
