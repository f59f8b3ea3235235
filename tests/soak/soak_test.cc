// The soak: one hostcalld, 200 VMs with guests that do all that guests do, in random order; guests that are killed, VMs
// that come and go, reloads, and two restarts of the daemon, one of them a crash. Nothing acknowledged may be lost,
// nothing may grow, and all must be given back when the guests are gone.
//
// HOSTCALL_SOAK_SECONDS sets how long it takes (30), HOSTCALL_SEED the random choices of the test and its guests; when
// something happens depends on the machine too.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "tests/soak/administrator.h"
#include "tests/soak/guest.h"
#include "tests/soak/guest_processes.h"
#include "tests/soak/ledger.h"
#include "tests/soak/samples.h"
#include "tests/soak/soak_daemon.h"
#include "tests/support/sanitized.h"
#include "tests/support/seed.h"
#include "tests/support/shared_memory.h"

namespace hostcall::test {
namespace {

using std::chrono::milliseconds;
using Seconds = std::chrono::duration<double>;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kTick(50);
// One tick of so many has one of these.
constexpr unsigned kTicksPerKill = 20, kTicksPerAct = 5;
// The shares of the daemon's three lives. The last one is long enough to tell whether memory grows.
constexpr double kLives[] = {0.2, 0.2, 0.6};

Seconds duration() {
  const char* wanted = std::getenv("HOSTCALL_SOAK_SECONDS");
  return Seconds(wanted == nullptr ? 30 : std::stod(wanted));
}

TEST(MemorySamples, TellGrowthFromNoise) {
  Samples level, leak;
  for (std::size_t i = 0; i < 300; ++i) {
    level.add(40'000 + i * 7919 % 3000);
    leak.add(40'000 + i * 7919 % 3000 + i * 20);
  }
  EXPECT_FALSE(level.grow()) << level.middle() << " " << level.last();
  EXPECT_TRUE(leak.grow()) << leak.middle() << " " << leak.last();
}

TEST(SoakLedger, AllowsWhatWasWrittenLastAndNothingElse) {
  auto ledger = std::make_unique<Ledger>();
  const auto allows = [&](std::optional<std::string> value) { return KeyCheck(*ledger, 1, 2).allows(value); };
  EXPECT_TRUE(allows(std::nullopt));
  EXPECT_FALSE(allows(value_after(1, 2, 1)));
  auto& key = ledger->keys[1][2];
  key.attempted = 2, key.acknowledged = 1;
  EXPECT_FALSE(allows(std::nullopt)) << "an acknowledged value is lost";
  EXPECT_TRUE(allows(value_after(1, 2, 1)));
  EXPECT_TRUE(allows(value_after(1, 2, 2)));
  EXPECT_FALSE(allows(value_after(1, 2, 3)));
  EXPECT_FALSE(allows(value_after(1, 3, 2))) << "another key's";
  EXPECT_EQ(value_after(1, 2, 6), std::nullopt) << "each sixth write deletes";
  EXPECT_EQ(number_of(value_after(1, 2, 13).value()), 13U);
}

class Soak : public testing::Test {
 protected:
  Soak() : random_(fresh_seed()) {}

  void begin();
  // One life of the daemon, with all that happens meanwhile.
  void live(Seconds time);
  void restart(int signal);
  void expect_all_is_given_back();
  void expect_all_was_done();

  Random random_;
  SoakDaemon daemon_;
  SharedMemory<Ledger> ledger_{daemon_.process().directory() / "ledger"};
  Administrator administrator_{daemon_.process(), random_};
  std::optional<GuestProcesses> guests_;
  Samples samples_;  // of the present life
  std::size_t base_descriptors_ = 0;
};

// One guest does everything once, so that the daemon has opened whatever it opens once.
void Soak::begin() {
  daemon_.start();
  administrator_.fill_history();
  Guest(*ledger_, 0, daemon_.process().vm_address(soak_vm(0)), random_).do_everything_once();
  ASSERT_TRUE(eventually([&] { return administrator_.counters()["connections_open"] == 1; }));
  base_descriptors_ = daemon_.open_descriptors();
  guests_.emplace(daemon_.process().directory() / "ledger", daemon_.process().directory().path(), random_);
}

void Soak::live(Seconds time) {
  samples_ = {};
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(time);
  while (Clock::now() < end) {
    daemon_.read_journal(kTick);
    samples_.add(daemon_.process().process().rss_kib());
    if (any_of(random_, kTicksPerKill) == 0) guests_->kill_any();
    if (any_of(random_, kTicksPerAct) == 0) administrator_.act();
    ASSERT_TRUE(guests_->all_run());
  }
}

void Soak::restart(int signal) {
  // Each act leaves a record of what happened and one of who did it.
  daemon_.end(signal, 2 * administrator_.acts() + administrator_.registrations());
  daemon_.start();
  administrator_.expect_nothing_lost(*ledger_);
}

void Soak::expect_all_is_given_back() {
  ledger_->stopping = true;
  guests_->expect_end();
  administrator_.clean_up();
  EXPECT_TRUE(eventually([&] { return daemon_.open_descriptors() <= base_descriptors_; }))
      << daemon_.open_descriptors() << " descriptors, " << base_descriptors_ << " at the beginning";
  EXPECT_TRUE(eventually([&] { return administrator_.charges().empty(); })) << administrator_.charges();
  EXPECT_TRUE(eventually([&] { return administrator_.counters()["store_waiting"] == 0; }));
  auto counters = administrator_.counters();
  EXPECT_EQ(counters["connections_open"], 1U) << "the one that asks";
  EXPECT_EQ(counters["store_watches"], 0U);
  EXPECT_EQ(counters["vms"], kSoakVms);
  EXPECT_EQ(counters["journal_records_lost"], 0U);
  administrator_.expect_nothing_lost(*ledger_);
  administrator_.expect_no_session_keys();
}

void Soak::expect_all_was_done() {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < Guest::actions().size(); ++i) {
    const std::uint64_t done = ledger_->done[i];
    std::printf("%s%s %llu", i == 0 ? "" : ", ", Guest::actions()[i].name, static_cast<unsigned long long>(done));
    // One of them was before the guests came.
    EXPECT_GT(done, 1U) << Guest::actions()[i].name;
    total += done;
  }
  std::printf("\n%llu in all; %u guest processes killed, %u acts of the administrator\n",
              static_cast<unsigned long long>(total), guests_->kills(), administrator_.acts());
  EXPECT_GT(guests_->kills(), 0U);
  EXPECT_GT(administrator_.acts(), 0U);
}

TEST_F(Soak, NothingGrowsAndNothingIsLost) {
  ASSERT_NO_FATAL_FAILURE(begin());
  ASSERT_NO_FATAL_FAILURE(live(duration() * kLives[0]));
  restart(SIGTERM);
  ASSERT_NO_FATAL_FAILURE(live(duration() * kLives[1]));
  restart(SIGKILL);
  ASSERT_NO_FATAL_FAILURE(live(duration() * kLives[2]));
  const auto samples = samples_;
  expect_all_is_given_back();
  const auto left_kib = daemon_.process().process().rss_kib();
  daemon_.end(SIGTERM, 2 * administrator_.acts() + administrator_.registrations());
  expect_all_was_done();
  std::printf("memory, medians of thirds: %zu, %zu, %zu KiB; %zu KiB when the guests are gone; journal %zu KiB\n",
              samples.warm_up(), samples.middle(), samples.last(), left_kib, daemon_.journal_bytes() / 1024);
  if (!kSanitized) {
    EXPECT_FALSE(samples.grow()) << "at most " << samples.tolerance_kib() << " KiB more";
  }
}

}  // namespace
}  // namespace hostcall::test
