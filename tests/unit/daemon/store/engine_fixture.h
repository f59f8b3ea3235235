// An engine on its own file, and calls that wait for the answer.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/run_engine.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/store/records.h"

namespace hostcall::daemon::store {

inline Outcome write(Engine& engine, Transaction transaction) {
  std::optional<Outcome> outcome;
  const auto ticket = engine.submit(std::move(transaction), [&](const Outcome& got) { outcome = got; });
  EXPECT_TRUE(run_until(engine, [&] { return outcome.has_value(); }));
  return outcome.value_or(Outcome{.code = OutcomeCode::kInvalid, .reason = "no answer"});
}

// Runs the engine until nothing waits for a commit.
inline void settle(Engine& engine) {
  EXPECT_TRUE(run_until(engine, [&] { return engine.stats().queue == 0; }));
}

inline std::string value_of(const Engine& engine, std::string_view key) {
  const auto record = engine.get(key);
  return record == nullptr ? "(none)" : std::string(record->value());
}

class EngineTest : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open(const HistoryLimits& history = {}) {
    engine.reset();
    engine = std::make_unique<LocalEngine>(StoreOptions{.path = dir / "store.db", .history = history}, owner);
  }
  Outcome put(const std::string& key, const std::string& value, Lifetime lifetime = Lifetime::kPersistent) {
    return write(*engine, of_vm_a({put_of(key, value, lifetime)}));
  }
  Outcome remove(const std::string& key) { return write(*engine, of_vm_a({delete_of(key)})); }

  test::TempDir dir;
  OwnerLog owner;
  std::unique_ptr<LocalEngine> engine;
};

}  // namespace hostcall::daemon::store
