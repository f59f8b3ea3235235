// An engine on its own file, and calls that wait for the answer.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/store/local_engine.h"
#include "tests/support/patience.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/store/records.h"

namespace hostcall::daemon::store {

struct OwnerLog final : EngineOwner {
  std::vector<std::string> told;
  void on_disk_full(const std::string&) override { told.push_back("full"); }
  void on_disk_recovered() override { told.push_back("recovered"); }
  void on_disk_failed(const std::string&) override { told.push_back("failed"); }
};

// Runs the engine until the condition holds. False: it timed out.
inline bool run_until(Engine& engine, const std::function<bool()>& so) {
  const auto end = Clock::now() + test::kPatience;
  while (!so()) {
    if (Clock::now() > end) return false;
    pollfd ready{.fd = engine.fd(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 100) > 0) engine.process();
  }
  return true;
}

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
