// Crashes, power losses, full and broken disks. They hit a process under load (store_process.cc); then the tests
// compare the writes that it had acknowledged with what is left.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "tests/support/process.h"
#include "tests/support/sanitized.h"
#include "tests/support/seed.h"
#include "tests/unit/daemon/store/engine_fixture.h"
#include "tests/unit/daemon/store/load.h"

namespace hostcall::daemon::store {
namespace {

int rounds(const char* variable, int normally) {
  const char* text = std::getenv(variable);
  return text == nullptr ? normally : std::atoi(text);
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

class Faults : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(dir / "store");
    std::filesystem::create_directory(dir / "images");
    control("none");
  }

  std::map<std::string, std::string> faults() const {
    return {{"LD_PRELOAD", DISK_FAULTS},
            {"DISK_FAULTS_DIRECTORY", dir / "store"},
            {"DISK_FAULTS_CONTROL", dir / "control"},
            {"DISK_FAULTS_IMAGES", dir / "images"},
            {"DISK_FAULTS_FAILURES", failures}};
  }
  std::unique_ptr<test::Process> start(std::map<std::string, std::string> environment = {},
                                       const std::vector<std::string>& arguments = {"FULL"}) {
    std::vector<std::string> command{STORE_PROCESS, path};
    command.insert(command.end(), arguments.begin(), arguments.end());
    environment["HOSTCALL_SEED"] = std::to_string(random());
    auto process =
        std::make_unique<test::Process>(command, test::ProcessOptions{.environment = environment, .input = {}});
    EXPECT_TRUE(process->wait_for_error_text("ready\n")) << process->errors();
    return process;
  }
  // Renames the file into place, because the process may read it at any time.
  void control(const std::string& word) const {
    std::filesystem::rename(dir.write("control.new", word), dir / "control");
  }
  // Waits until the process has printed this so many times.
  static bool wait_for(test::Process& process, const std::string& what, std::size_t times) {
    return process.wait_until([&] { return count(process.errors(), what) >= times; });
  }
  // Lets the process acknowledge some writes, kills it at a random time during the next ones, and records what it has
  // acknowledged.
  void work_and_kill(test::Process& process) {
    ASSERT_TRUE(wait_for(process, "ack ", random() % kMostWrites)) << process.errors();
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
    kill(process);
  }
  void kill(test::Process& process) {
    process.signal(SIGKILL);
    ASSERT_EQ(process.wait(), 128 + SIGKILL) << process.errors();
    std::istringstream lines(process.errors());
    for (std::string line; std::getline(lines, line);) {
      int writer = 0;
      long number = 0;
      if (std::sscanf(line.c_str(), "ack %d %ld", &writer, &number) == 2) acknowledged[writer] = number;
    }
  }
  // What is wrong with the store; empty: nothing. Opening it runs quick_check.
  std::string check() {
    try {
      LocalEngine engine({.path = path}, owner);
      for (int i = 0; i < kLoadWriters; ++i)
        if (auto wrong = check_writer(engine, i); !wrong.empty()) return "writer " + std::to_string(i) + ": " + wrong;
      return {};
    } catch (const std::runtime_error& error) {
      return error.what();
    }
  }
  std::string check_writer(const Engine& engine, int i) {
    const long number = number_at(engine, first_key(i));
    if (number < acknowledged[i])
      return "has " + std::to_string(number) + ", but " + std::to_string(acknowledged[i]) + " was acknowledged";
    if (number > acknowledged[i] + 1) return "has " + std::to_string(number) + ", which was never submitted";
    acknowledged[i] = number;  // what is there now must stay
    if (number_at(engine, second_key(i)) != number) return "a transaction is there by half";
    for (long back = 0; back < std::min<long>(number, kLoadSlots); ++back)
      if (number_at(engine, slot_key(i, number - back)) != number - back) return "a slot is not what it should be";
    return {};
  }
  void expect_something_to_lose(int rounds) {
    long total = 0;
    for (const auto& [writer, number] : acknowledged) total += number;
    EXPECT_GE(total, rounds);
    std::printf("%d rounds, %ld writes acknowledged\n", rounds, total);
  }
  // The machine starts: everything in the store is on disk.
  void power_on() {
    std::filesystem::remove_all(dir / "images");
    std::filesystem::copy(dir / "store", dir / "images");
  }
  // Leaves what survives a power loss: at least what was synced of each file. A file that was never synced may be empty
  // or gone.
  void lose_power() {
    for (const auto& entry : std::filesystem::directory_iterator(dir / "store")) {
      const auto image = dir / ("images/" + entry.path().filename().string());
      if (random() % 4 == 0) continue;  // all of it had reached the disk
      if (std::filesystem::exists(image))
        std::filesystem::copy_file(image, entry.path(), std::filesystem::copy_options::overwrite_existing);
      else
        std::filesystem::remove(entry.path());
    }
  }
  test::TempDir dir;
  const std::string path = dir / "store/store.db";
  const std::string failures = dir / "failures";
  OwnerLog owner;
  std::map<int, long> acknowledged;
  std::mt19937 random{test::fresh_seed()};

  static constexpr unsigned kMostWrites = 3 * kLoadWriters;
};

TEST_F(Faults, KilledAtAnyTime) {
  const int kRounds = rounds("HOSTCALL_CRASH_ROUNDS", 200);
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_NO_FATAL_FAILURE(work_and_kill(*start()));
    ASSERT_EQ(check(), "") << "round " << round;
  }
  expect_something_to_lose(kRounds);
}

class DiskFaults : public Faults {
 protected:
  void SetUp() override {
    if (test::kSanitized) GTEST_SKIP() << "a sanitizer's runtime must be loaded first";
    Faults::SetUp();
  }
};

TEST_F(DiskFaults, PowerLossKeepsWhatWasAcknowledged) {
  const int kRounds = rounds("HOSTCALL_POWER_ROUNDS", 30);
  for (int round = 0; round < kRounds; ++round) {
    power_on();
    ASSERT_NO_FATAL_FAILURE(work_and_kill(*start(faults())));
    lose_power();
    ASSERT_EQ(check(), "") << "round " << round;
  }
  expect_something_to_lose(kRounds);
}

class LessThanFull : public DiskFaults, public testing::WithParamInterface<const char*> {};

// With fewer syncs the same test must fail, or it proves nothing.
TEST_P(LessThanFull, LosesWhatWasAcknowledged) {
  std::string wrong;
  for (int round = 0; round < 20 && wrong.empty(); ++round) {
    power_on();
    ASSERT_NO_FATAL_FAILURE(work_and_kill(*start(faults(), {GetParam()})));
    lose_power();
    wrong = check();
  }
  EXPECT_NE(wrong, "");
  std::printf("synchronous=%s: %s\n", GetParam(), wrong.c_str());
}

INSTANTIATE_TEST_SUITE_P(Each, LessThanFull, testing::Values("OFF", "NORMAL"));

TEST_F(DiskFaults, AFullDiskRefusesWritesAndRecovers) {
  const auto process = start(faults());
  ASSERT_TRUE(process->wait_for_error_text("ack 3 5\n"));
  control("full");
  // Each writer writes again after a refusal: none of them waits for room.
  ASSERT_TRUE(wait_for(*process, "refused full", 5 * kLoadWriters)) << process->errors();
  const auto so_far = process->errors();
  EXPECT_EQ(count(so_far, "owner full"), 1u) << "told once";
  EXPECT_EQ(count(so_far.substr(so_far.find("owner full")), "ack"), 0u);
  control("none");
  ASSERT_TRUE(process->wait_for_error_text("owner recovered"));
  const auto text = process->errors();
  EXPECT_EQ(count(text, "refused full 0\n"), 0u) << "reads go on meanwhile";
  const auto after = [&] { return process->errors().substr(text.find("owner recovered")); };
  EXPECT_TRUE(process->wait_until([&] { return count(after(), "ack 0") > 0; })) << after();
  EXPECT_TRUE(process->wait_until([&] { return count(after(), "event") > 0; })) << "and watches";
  ASSERT_NO_FATAL_FAILURE(kill(*process));
  EXPECT_EQ(check(), "");
}

// Nobody writes, so the engine must retry by itself.
TEST_F(DiskFaults, WhatSessionsHeldGoesWhenThereIsRoomAgain) {
  {
    LocalEngine engine({.path = path}, owner);
    auto transaction = of_vm_a({put_of(first_key(0), "1", Lifetime::kSession)});
    ASSERT_EQ(write(engine, transaction).code, OutcomeCode::kDone);
  }
  control("full");
  const auto process = start(faults(), {"FULL", "idle"});
  EXPECT_EQ(count(process->errors(), "owner full"), 1u);
  const auto before = std::filesystem::file_size(failures);
  EXPECT_TRUE(process->wait_until([&] { return std::filesystem::file_size(failures) > before; })) << "it tries again";
  EXPECT_EQ(count(process->errors(), "event"), 0u);
  control("none");
  EXPECT_TRUE(process->wait_for_error_text("event"));
  EXPECT_EQ(count(process->errors(), "owner recovered"), 1u);
}

class BrokenDisk : public DiskFaults, public testing::WithParamInterface<const char*> {};

TEST_P(BrokenDisk, AcknowledgesNothingMoreAndStaysReadOnly) {
  const auto process = start(faults());
  ASSERT_TRUE(process->wait_for_error_text("ack 3 5\n"));
  control(GetParam());
  ASSERT_TRUE(process->wait_for_error_text("refused read-only")) << process->errors();
  control("none");
  const auto refused = count(process->errors(), "refused read-only");
  ASSERT_TRUE(wait_for(*process, "refused read-only", refused + 5 * kLoadWriters)) << "it goes on";
  ASSERT_NO_FATAL_FAILURE(kill(*process));
  const auto text = process->errors();
  EXPECT_EQ(count(text, "owner failed"), 1u) << "an alert, once";
  EXPECT_GT(count(text, "refused failed"), 0u);
  EXPECT_EQ(count(text.substr(text.find("owner failed")), "ack"), 0u) << "also when the disk seems well again";
  EXPECT_EQ(count(text, "refused read-only 0\n"), 0u) << "reads go on";
  EXPECT_EQ(check(), "") << "what was acknowledged before is there";
}

INSTANTIATE_TEST_SUITE_P(Each, BrokenDisk, testing::Values("write", "sync"));

}  // namespace
}  // namespace hostcall::daemon::store
