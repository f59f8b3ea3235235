#include "tests/soak/soak_daemon.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "tests/soak/ledger.h"

namespace hostcall::test {
namespace {

DaemonOptions options() {
  DaemonOptions options{
      .vms = {},
      .timeouts_ms = {{"first_request_ms", 2000}, {"frame_ms", 2000}, {"heartbeat_ms", 1000}, {"drain_ms", 300}},
      .starts = false};
  for (unsigned vm = 0; vm < kSoakVms; ++vm) options.vms.push_back(soak_vm(vm));
  return options;
}

// What daemon/vms/audit.h promises: budgets of all callers and of each, and reports of what is over them or repeats.
// Besides, each VM's registration and the daemon itself have a word at start and end.
std::size_t most_records(double seconds, std::size_t allowed) {
  const double all = 1000 + 10 * seconds, each = 3 + seconds / 600, reports = 9 * (1 + seconds / 60), words = 2;
  return static_cast<std::size_t>(all + kSoakVms * (each + reports + words)) + allowed;
}

}  // namespace

SoakDaemon::SoakDaemon() : daemon_(options()) {}

void SoakDaemon::start() {
  // Then records on stderr begin with their level, as under systemd.
  daemon_.launch({{"INVOCATION_ID", "soak"}});
  if (!daemon_.process().wait_for_error_text("started"))
    throw std::runtime_error("hostcalld did not start: " + daemon_.process().errors());
  begin_ = std::chrono::steady_clock::now();
}

void SoakDaemon::read_journal(std::chrono::milliseconds time) {
  daemon_.process().wait_until([] { return false; }, time);
}

void SoakDaemon::end(int signal, std::size_t allowed) {
  daemon_.process().signal(signal);
  EXPECT_EQ(daemon_.process().wait(), signal == SIGKILL ? 128 + SIGKILL : 0);
  expect_journal(allowed);
}

void SoakDaemon::expect_journal(std::size_t allowed) {
  constexpr char kWarning = '4';
  const auto& journal = daemon_.process().errors();
  std::istringstream lines(journal);
  std::size_t records = 0;
  for (std::string line; std::getline(lines, line); ++records)
    EXPECT_TRUE(line.size() > 3 && line[0] == '<' && line[1] >= kWarning) << "an error: " << line;
  const std::chrono::duration<double> life = std::chrono::steady_clock::now() - begin_;
  EXPECT_LE(records, most_records(life.count(), allowed)) << journal.substr(0, 10'000);
  journal_bytes_ += journal.size();
}

std::size_t SoakDaemon::open_descriptors() {
  const std::filesystem::directory_iterator open("/proc/" + std::to_string(daemon_.process().pid()) + "/fd");
  return static_cast<std::size_t>(std::distance(open, {}));
}

}  // namespace hostcall::test
