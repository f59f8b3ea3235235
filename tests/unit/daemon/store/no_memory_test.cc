// A store whose SQLite finds no memory: what was to be written is not, and the next write is.
#include "tests/unit/daemon/store/engine_fixture.h"
#include "tests/unit/daemon/store/starved.h"

namespace hostcall::daemon::store {
namespace {

using NoMemoryTest = EngineTest;
using Told = std::vector<std::string>;

TEST_F(NoMemoryTest, OnlyWhatMetItIsRefused) {
  const std::string large(60'000, 'v');
  ASSERT_EQ(put("/vm/a/before", large).code, OutcomeCode::kDone);
  {
    const NoMemory none;
    for (const auto* key : {"/vm/a/lost", "/vm/a/before"}) {
      const auto refused = put(key, large + large);
      EXPECT_EQ(refused.code, OutcomeCode::kNoMemory);
      EXPECT_EQ(refused.reason, "the host's store has no memory for it");
    }
    EXPECT_EQ(value_of(*engine, "/vm/a/before"), large) << "reads go on";
  }
  EXPECT_EQ(owner.told, Told{"no memory"}) << "told once";
  ASSERT_EQ(put("/vm/a/after", large).code, OutcomeCode::kDone);
  EXPECT_EQ(owner.told, (Told{"no memory", "recovered"}));
  open();
  EXPECT_EQ(value_of(*engine, "/vm/a/before"), large);
  EXPECT_EQ(value_of(*engine, "/vm/a/after"), large);
  EXPECT_EQ(value_of(*engine, "/vm/a/lost"), "(none)");
}

TEST_F(NoMemoryTest, WhatASessionHeldGoesLater) {
  auto transaction = of_vm_a({put_of("/vm/a/k", "v", Lifetime::kSession)});
  transaction.session_holder = "s1";
  ASSERT_EQ(write(*engine, transaction).code, OutcomeCode::kDone);
  {
    const NoMemory none;
    engine->end_session("s1");
    settle(*engine);
    EXPECT_EQ(engine->stats().keys, 1u);
  }
  EXPECT_TRUE(run_until(*engine, [&] { return engine->stats().keys == 0; }));
}

TEST_F(NoMemoryTest, EachCauseIsTold) {
  ASSERT_EQ(put("/vm/a/before", "v").code, OutcomeCode::kDone);
  {
    const FullDisk full;
    EXPECT_EQ(put("/vm/a/lost", "v").code, OutcomeCode::kDiskFull);
    EXPECT_EQ(put("/vm/a/lost", "v").code, OutcomeCode::kDiskFull);
  }
  {
    const NoMemory none;
    EXPECT_EQ(put("/vm/a/lost", std::string(60'000, 'v')).code, OutcomeCode::kNoMemory);
  }
  EXPECT_EQ(owner.told, (Told{"full", "no memory"}));
  ASSERT_EQ(put("/vm/a/after", "v").code, OutcomeCode::kDone);
  EXPECT_EQ(owner.told, (Told{"full", "no memory", "recovered"}));
}

}  // namespace
}  // namespace hostcall::daemon::store
