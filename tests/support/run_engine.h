// A store's engine without a daemon: what its owner was told, and a loop that runs it.
#pragma once

#include <poll.h>

#include <functional>
#include <string>
#include <vector>

#include "daemon/store/local_engine.h"
#include "tests/support/patience.h"

namespace hostcall::daemon::store {

struct OwnerLog final : EngineOwner {
  std::vector<std::string> told;
  void on_disk_full(const std::string&) override { told.push_back("full"); }
  void on_no_memory(const std::string&) override { told.push_back("no memory"); }
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

}  // namespace hostcall::daemon::store
