#include "tests/soak/guest_processes.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "tests/soak/ledger.h"

namespace hostcall::test {
namespace {

constexpr unsigned kProcesses = 8;
constexpr unsigned kEach = kSoakVms / kProcesses;
static_assert(kEach * kProcesses == kSoakVms);

}  // namespace

GuestProcesses::GuestProcesses(std::string ledger_file, std::string directory, Random& random)
    : ledger_file_(std::move(ledger_file)), directory_(std::move(directory)), random_(random), processes_(kProcesses) {
  for (unsigned i = 0; i < kProcesses; ++i) start(i);
}

void GuestProcesses::start(unsigned number) {
  processes_[number] = std::make_unique<Process>(
      std::vector<std::string>{SOAK_GUESTS, ledger_file_, directory_, std::to_string(number * kEach),
                               std::to_string(kEach), std::to_string(random_())});
}

void GuestProcesses::kill_any() {
  const auto number = any_of(random_, kProcesses);
  processes_[number]->signal(SIGKILL);
  EXPECT_EQ(processes_[number]->wait(), 128 + SIGKILL) << processes_[number]->errors();
  start(number);
  ++kills_;
}

bool GuestProcesses::all_run() {
  bool all = true;
  for (auto& process : processes_)
    if (const auto code = process->wait(std::chrono::milliseconds(0))) {
      ADD_FAILURE() << "a guest process ended with " << *code << ": " << process->errors();
      all = false;
    }
  return all;
}

void GuestProcesses::expect_end() {
  for (auto& process : processes_) EXPECT_EQ(process->wait(), 0) << process->errors();
}

}  // namespace hostcall::test
