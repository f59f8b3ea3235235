// Transactions: comparisons, operations that see each other's effects, revisions, charges, and refusals.
#include "daemon/store/evaluate.h"

#include <gtest/gtest.h>

#include "tests/unit/daemon/store/records.h"

namespace hostcall::daemon::store {
namespace {

class Evaluate : public testing::Test {
 protected:
  Outcome run(const Transaction& transaction) { return commit(model, transaction); }
  Model model{HistoryLimits{}};
};

TEST_F(Evaluate, PutsRaiseRevisionAndVersion) {
  EXPECT_EQ(run(of_vm_a({put_of("/vm/a/x", "1")})).revision, 1);
  EXPECT_EQ(run(of_vm_a({put_of("/vm/a/y", "1")})).revision, 2);
  const auto outcome = run(of_vm_a({put_of("/vm/a/x", "2")}));
  ASSERT_EQ(outcome.results.size(), 1u);
  EXPECT_EQ(outcome.results[0].record->value(), "1") << "what was replaced";
  const auto record = model.find("/vm/a/x");
  EXPECT_EQ(record->value(), "2");
  EXPECT_EQ(record->create_revision(), 1);
  EXPECT_EQ(record->mod_revision(), 3);
  EXPECT_EQ(record->version(), 2);
}

TEST_F(Evaluate, ADeletedKeyComesBackAsANewOne) {
  run(of_vm_a({put_of("/vm/a/x", "1")}));
  EXPECT_EQ(run(of_vm_a({delete_of("/vm/a/x")})).revision, 2);
  EXPECT_EQ(model.find("/vm/a/x"), nullptr);
  run(of_vm_a({put_of("/vm/a/x", "2")}));
  EXPECT_EQ(model.find("/vm/a/x")->create_revision(), 3);
  EXPECT_EQ(model.find("/vm/a/x")->version(), 1);
}

TEST_F(Evaluate, WithoutAChangeThereIsNoRevision) {
  run(of_vm_a({put_of("/vm/a/x", "1")}));
  EXPECT_EQ(run(of_vm_a({delete_of("/vm/a/none")})).revision, 1);
  EXPECT_EQ(run(of_vm_a({get_of("/vm/a/x")})).revision, 1);
  EXPECT_EQ(model.revision(), 1);
  EXPECT_EQ(run(of_vm_a({put_of("/vm/a/x", "1")})).revision, 2) << "the same value is a change";
}

TEST_F(Evaluate, OperationsSeeEarlierOnesAndShareARevision) {
  const auto outcome =
      run(of_vm_a({get_of("/vm/a/x"), put_of("/vm/a/x", "1"), get_of("/vm/a/x"), put_of("/vm/a/y", "2")}));
  ASSERT_EQ(outcome.results.size(), 4u);
  EXPECT_EQ(outcome.results[0].record, nullptr);
  EXPECT_EQ(outcome.results[2].record->value(), "1");
  EXPECT_EQ(model.find("/vm/a/x")->mod_revision(), 1);
  EXPECT_EQ(model.find("/vm/a/y")->mod_revision(), 1);
}

// As in etcd: what comes before the first change has the revision before it.
TEST_F(Evaluate, AResultHasTheRevisionThatItsOperationLeaves) {
  run(of_vm_a({put_of("/vm/a/x", "1")}));
  const auto outcome = run(of_vm_a(
      {get_of("/vm/a/x"), delete_of("/vm/a/none"), put_of("/vm/a/y", "2"), get_of("/vm/a/x"), delete_of("/vm/a/no")}));
  std::vector<Revision> revisions;
  for (const auto& result : outcome.results) revisions.push_back(result.revision);
  EXPECT_EQ(revisions, (std::vector<Revision>{1, 1, 2, 2, 2}));
  EXPECT_EQ(outcome.revision, 2);
  EXPECT_EQ(run(of_vm_a({get_of("/vm/a/x")})).results[0].revision, 2);
}

struct CompareExample {
  Compare compare;
  bool holds;
};

TEST_F(Evaluate, Comparisons) {
  run(of_vm_a({put_of("/vm/a/other", "")}));
  run(of_vm_a({put_of("/vm/a/x", "b")}));
  run(of_vm_a({put_of("/vm/a/x", "b")}));  // created at 2, changed at 3, version 2
  using enum Relation;
  using enum Compare::Target;
  const CompareExample kExamples[] = {
      {{"/vm/a/x", kEqual, kVersion, 2, ""}, true},        {{"/vm/a/x", kEqual, kVersion, 1, ""}, false},
      {{"/vm/a/x", kEqual, kCreateRevision, 2, ""}, true}, {{"/vm/a/x", kEqual, kCreateRevision, 3, ""}, false},
      {{"/vm/a/x", kEqual, kModRevision, 3, ""}, true},    {{"/vm/a/x", kGreater, kModRevision, 2, ""}, true},
      {{"/vm/a/x", kGreater, kModRevision, 3, ""}, false}, {{"/vm/a/x", kLess, kModRevision, 4, ""}, true},
      {{"/vm/a/x", kLess, kModRevision, 3, ""}, false},    {{"/vm/a/x", kNotEqual, kVersion, 2, ""}, false},
      {{"/vm/a/x", kNotEqual, kVersion, 1, ""}, true},     {{"/vm/a/x", kEqual, kValue, 0, "b"}, true},
      {{"/vm/a/x", kGreater, kValue, 0, "a\xFF"}, true},   {{"/vm/a/x", kLess, kValue, 0, "\xFF"}, true},
      {{"/vm/a/none", kEqual, kVersion, 0, ""}, true},     {{"/vm/a/none", kEqual, kModRevision, 0, ""}, true},
      {{"/vm/a/none", kEqual, kValue, 0, ""}, true},       {{"/vm/a/none", kGreater, kVersion, 0, ""}, false},
  };
  for (const auto& [compare, holds] : kExamples) {
    Transaction transaction = of_vm_a({get_of("/vm/a/x")});
    transaction.compare = {compare};
    EXPECT_EQ(run(transaction).succeeded, holds) << compare.key << " target " << static_cast<int>(compare.target);
  }
}

TEST_F(Evaluate, OneFailedComparisonChoosesTheOtherList) {
  Transaction transaction = of_vm_a({put_of("/vm/a/then", "")});
  transaction.otherwise = {put_of("/vm/a/else", "")};
  transaction.compare = {{.key = "/vm/a/x"}, {.key = "/vm/a/x", .relation = Relation::kGreater}};
  EXPECT_FALSE(run(transaction).succeeded);
  EXPECT_EQ(model.find("/vm/a/then"), nullptr);
  EXPECT_NE(model.find("/vm/a/else"), nullptr);
}

TEST_F(Evaluate, Sizes) {
  std::vector<Operation> operations;
  for (int i = 0; i < 128; ++i) operations.push_back(put_of("/vm/a/" + std::to_string(i), std::string(4096, 'x')));
  auto transaction = of_vm_a(operations);
  EXPECT_EQ(run(transaction).code, OutcomeCode::kDone) << "128 operations, 512 KiB";
  EXPECT_EQ(run(transaction).code, OutcomeCode::kInvalid) << "512 KiB written and as many replaced";
  EXPECT_EQ(model.revision(), 1);
  transaction = of_vm_a(operations);
  transaction.compare = {{.key = "/vm/a/x"}};
  EXPECT_EQ(run(transaction).reason, "129 comparisons and operations, but at most 128 are allowed");
}

TEST_F(Evaluate, RefusedAsAWhole) {
  auto outcome = run(of_vm_a({put_of("/vm/a/x", "1"), delete_of("/vm/a/x")}));
  EXPECT_EQ(outcome.key, "/vm/a/x");
  EXPECT_EQ(outcome.reason, "is written twice") << "whoever shows it names the key";
  outcome = run(of_vm_a({put_of("/vm/a/x", "1"), put_of("/other/x", "1")}));
  EXPECT_EQ(outcome.key, "/other/x");
  EXPECT_EQ(outcome.reason, "is in no namespace");
  auto transaction = of_vm_a({put_of("/vm/a/x", "1", Lifetime::kBoot)});
  transaction.boot_holder.clear();
  EXPECT_EQ(run(transaction).code, OutcomeCode::kInvalid);
  transaction = of_vm_a({put_of("/vm/a/x", "1", Lifetime::kSession)});
  transaction.session_holder.clear();
  EXPECT_EQ(run(transaction).code, OutcomeCode::kInvalid);
  EXPECT_EQ(model.revision(), 0);
  EXPECT_EQ(model.index().size(), 0u);
}

TEST_F(Evaluate, ChargesWhoOwnsTheKey) {
  run(of_vm_a({put_of("/vm/a/x", "12345")}));
  EXPECT_EQ(model.usage("a"), (Usage{1, 12}));
  auto host = of_vm_a({put_of("/vm/a/h", "1"), put_of("/shared/h", "1")});
  host.writer.clear();
  run(host);
  EXPECT_EQ(model.usage("a"), (Usage{2, 20})) << "the VM's own key, whoever writes it";
  run(of_vm_a({put_of("/shared/h", "123")}));
  EXPECT_EQ(model.usage("a"), (Usage{3, 32})) << "a shared one from its last writer";
  auto other = of_vm_a({put_of("/shared/h", "1")});
  other.writer = "b";
  run(other);
  EXPECT_EQ(model.usage("a"), (Usage{2, 20}));
  EXPECT_EQ(model.usage("b"), (Usage{1, 10}));
  run(of_vm_a({delete_of("/shared/h"), delete_of("/vm/a/h"), delete_of("/vm/a/x")}));
  EXPECT_EQ(model.usage("a"), Usage{});
  EXPECT_EQ(model.usage("b"), Usage{});
  EXPECT_EQ(model.bytes(), 0u);
}

TEST_F(Evaluate, LimitsAreExact) {
  const auto limited = [](std::vector<Operation> operations, OwnerLimits limits) {
    auto transaction = of_vm_a(std::move(operations));
    transaction.limits = limits;
    return transaction;
  };
  EXPECT_EQ(run(limited({put_of("/vm/a/x", "123")}, {1, 10})).code, OutcomeCode::kDone);
  EXPECT_EQ(run(limited({put_of("/vm/a/x", "1234")}, {1, 10})).code, OutcomeCode::kBytesLimit);
  EXPECT_EQ(run(limited({put_of("/vm/a/y", "")}, {1, 100})).code, OutcomeCode::kKeysLimit);
  EXPECT_EQ(run(limited({put_of("/shared/y", "")}, {1, 100})).code, OutcomeCode::kKeysLimit);
  EXPECT_EQ(run(limited({put_of("/vm/a/y", "123"), delete_of("/vm/a/x")}, {1, 10})).code, OutcomeCode::kDone)
      << "only what the whole transaction leaves counts";
  EXPECT_EQ(run(limited({put_of("/vm/a/y", "12")}, {0, 0})).code, OutcomeCode::kDone)
      << "over limits that were lowered, less is always allowed";
  EXPECT_EQ(run(limited({put_of("/vm/a/y", "123")}, {0, 0})).code, OutcomeCode::kBytesLimit);
}

TEST_F(Evaluate, TwoDraftsOfOneBatch) {
  auto batch = Draft::on(model);
  for (const auto* value : {"1", "2"}) {
    auto draft = Draft::on(batch);
    const auto outcome = evaluate(of_vm_a({put_of("/vm/a/x", value)}), draft);
    EXPECT_EQ(outcome.revision, value[0] - '0');
    batch.absorb(draft);
  }
  EXPECT_EQ(value_of(batch, "/vm/a/x"), "2");
  EXPECT_EQ(batch.usage("a"), (Usage{1, 8}));
  EXPECT_EQ(value_of(model, "/vm/a/x"), "(none)");
  ASSERT_EQ(batch.events().size(), 2u);
  EXPECT_EQ(batch.events()[1].previous, batch.events()[0].now);
}

}  // namespace
}  // namespace hostcall::daemon::store
