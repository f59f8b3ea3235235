// The processes with the guests of the soak: each has the guests of some VMs, is killed at random, and begun again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/soak/connections.h"
#include "tests/support/process.h"

namespace hostcall::test {

class GuestProcesses {
 public:
  GuestProcesses(std::string ledger_file, std::string directory, Random& random);

  // SIGKILL, and another one in its place.
  void kill_any();
  // Reports those that have ended by themselves as failures of the running test. False: there are.
  bool all_run();
  // After Ledger::stopping: waits until they have ended, each with 0.
  void expect_end();
  unsigned kills() const { return kills_; }

 private:
  void start(unsigned number);

  std::string ledger_file_, directory_;
  Random& random_;
  std::vector<std::unique_ptr<Process>> processes_;
  unsigned kills_ = 0;
};

}  // namespace hostcall::test
