#include "tests/hostile/stage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "tests/hostile/cores.h"
#include "tests/support/cpu_seconds.h"
#include "tests/support/patience.h"
#include "tests/support/sanitized.h"

namespace hostcall::test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kAlone(100), kAttacked(200);
constexpr std::size_t kRounds = 5;
// Other programs only add to what a neighbour waits for, so the best try counts.
constexpr int kTries = 6;
// What a neighbour may feel: this much in any case, or so many times its own p99.
constexpr std::chrono::nanoseconds kAlwaysAllowed = milliseconds(5);
constexpr int kTimes = 3;
// What memory may cost beyond its charge.
constexpr double kPerCharge = 1.25;
constexpr std::size_t kSlackKib = 4 * 1024;
// After the last connection has closed it is back.
constexpr milliseconds kReturn(1000), kGiveUp(20'000);
// An idle attack may cost so many times what the neighbour alone costs.
constexpr double kIdleTimes = 2;
// Above this share of the processors, what neighbours wait for is other programs.
constexpr double kMostOfOthers = 0.1;
// The daemon's budget of records for one VM (daemon/vms/audit.cc), and what it says of itself.
constexpr double kRecordsBurst = 203, kRecordsPerSecond = 1, kOwnRecords = 20;
constexpr std::size_t kRecordBytes = 2048;
// Otherwise the rounds after the first few had no connections.
constexpr char kAllRounds[] = R"("limits": {"connect_burst": 1000})";

double in_ms(std::chrono::nanoseconds time) { return std::chrono::duration<double, std::milli>(time).count(); }

template <class Item, class Member>
auto median_of(const std::vector<Item>& items, Member member) {
  std::vector<std::remove_cvref_t<decltype(items[0].*member)>> values;
  for (const auto& item : items) values.push_back(item.*member);
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::chrono::nanoseconds allowed_p99(const std::vector<Round>& rounds) {
  return std::max(kAlwaysAllowed, kTimes * median_of(rounds, &Round::base_p99));
}

// A machine may be half as fast, and busy for a moment; a daemon that lets neighbours wait does so for much longer.
int slow_machine() {
  constexpr int kTimesSlower = 4;
  return std::getenv("HOSTCALL_STRICT_TIMES") == nullptr ? kTimesSlower : 1;
}

bool are_within(const std::vector<Round>& rounds, bool is_idle) {
  if (is_idle && median_of(rounds, &Round::cpu) > kIdleTimes * median_of(rounds, &Round::base_cpu)) return false;
  return median_of(rounds, &Round::p99) <= allowed_p99(rounds);
}

// Whether no further round can change that the median is allowed.
bool is_decided(const std::vector<Round>& rounds) {
  const auto good = std::ranges::count_if(rounds, [](const Round& round) { return round.p99 <= kAlwaysAllowed; });
  return rounds.size() == kRounds || static_cast<std::size_t>(good) > kRounds / 2;
}

std::unique_ptr<DaemonProcess> start(DaemonOptions options, std::size_t neighbours) {
  for (std::size_t i = 1; i <= neighbours; ++i) {
    const auto name = "db" + std::to_string(i);
    if (std::ranges::find(options.vms, name) == options.vms.end()) options.vms.push_back(name);
  }
  if (options.config_json.empty()) options.config_json = kAllRounds;
  use_daemon_core();
  auto daemon = std::make_unique<DaemonProcess>(options);
  use_test_core();
  return daemon;
}

}  // namespace

Stage::Stage(const DaemonOptions& options, std::size_t neighbours) : daemon_(start(options, neighbours)) {
  monitor_ = std::make_unique<Monitor>(*daemon_, kHostileVm);
  std::vector<std::string> paths;
  for (std::size_t i = 1; i <= neighbours; ++i) paths.push_back(daemon_->vm_path("db" + std::to_string(i)));
  neighbours_ = std::make_unique<Neighbours>(paths);
}

void Stage::withstand(const Attack& attack, bool is_idle) {
  std::this_thread::sleep_for(kAlone);  // both sides warm up
  base_rss_kib_ = monitor_->rss_kib();
  monitor_->start();
  std::vector<Round> rounds;
  for (int left = kTries; left > 0 && (rounds.empty() || !are_within(rounds, is_idle)); --left)
    rounds = measure(attack, is_idle);
  monitor_->stop();
  judge_times(rounds, is_idle);
  judge_memory();
  judge_return();
  judge_neighbours();
  judge_log();
}

std::vector<Round> Stage::measure(const Attack& attack, bool is_idle) {
  std::vector<Round> rounds;
  const bool are_judged = why_times_are_not_judged().empty();
  do rounds.push_back(run_round(attack, is_idle));
  while (are_judged && !is_decided(rounds));
  return rounds;
}

Round Stage::run_round(const Attack& attack, bool is_idle) {
  Round round;
  // The daemon still works on what the attackers of the last round have left behind.
  EXPECT_TRUE(eventually([&] { return monitor_->charges().are_given_back(); }));
  neighbours_->take_p99();
  round.base_cpu = cpu_while([] { std::this_thread::sleep_for(kAlone); });
  round.base_p99 = neighbours_->take_p99();
  const auto go_on = attack();
  if (is_idle) go_on(kAttacked);
  OtherPrograms others(daemon_->process().pid());
  round.cpu = cpu_while([&] { go_on(kAttacked); });
  round.others = others.share();
  round.p99 = neighbours_->take_p99();
  return round;
}

double Stage::cpu_while(const std::function<void()>& action) const {
  const auto begin = std::chrono::steady_clock::now();
  const auto before = cpu_seconds(daemon_->process().pid());
  action();
  const auto used = cpu_seconds(daemon_->process().pid()) - before;
  return used / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// A neighbour that waits for other programs of this machine proves nothing; then the test is skipped for that reason.
void Stage::judge_times(const std::vector<Round>& rounds, bool is_idle) const {
  const auto others = median_of(rounds, &Round::others);
  std::printf(
      "p99 of the neighbours: %.2f ms, alone %.2f ms; the daemon's processor: %.1f %%, before %.1f %%; other "
      "programs: %.1f %%\n",
      in_ms(median_of(rounds, &Round::p99)), in_ms(median_of(rounds, &Round::base_p99)),
      100 * median_of(rounds, &Round::cpu), 100 * median_of(rounds, &Round::base_cpu), 100 * others);
  if (const auto why = why_times_are_not_judged(); !why.empty()) {
    std::printf("times are not judged: %s\n", why.c_str());
    return;
  }
  if (!are_within(rounds, is_idle) && others > kMostOfOthers)
    GTEST_SKIP() << "times are not judged: other programs use " << std::lround(100 * others) << " % of the processors";
  EXPECT_LE(in_ms(median_of(rounds, &Round::p99)), slow_machine() * in_ms(allowed_p99(rounds))) << "a neighbour waits";
  if (!is_idle) return;
  EXPECT_LE(median_of(rounds, &Round::cpu), kIdleTimes * median_of(rounds, &Round::base_cpu)) << "it is not idle";
}

std::size_t Stage::allowed_rss_kib(std::uint64_t charge) const {
  return base_rss_kib_ + kSlackKib + static_cast<std::size_t>(kPerCharge * static_cast<double>(charge) / 1024);
}

void Stage::judge_memory() const {
  const auto peak = monitor_->peak_rss_kib();
  const auto grown = peak > base_rss_kib_ ? peak - base_rss_kib_ : 0;
  std::printf("memory: %zu KiB, at most %zu KiB more; charged at most %zu KiB\n", base_rss_kib_, grown,
              static_cast<std::size_t>(monitor_->peak_charge() / 1024));
  if (kSanitized) return;
  EXPECT_LE(peak, allowed_rss_kib(monitor_->peak_charge())) << "memory without a charge";
}

void Stage::judge_return() {
  Charges left;
  EXPECT_TRUE(eventually([&] { return (left = monitor_->charges()).are_given_back(); }))
      << "still charged: " << left.bytes << " bytes, " << left.streams << " calls, " << left.connections
      << " connections, " << left.watches << " watches";
  if (kSanitized) return;
  // Only now has the daemon seen the end of each connection: what the peer had sent before comes first.
  const auto begin = std::chrono::steady_clock::now();
  const auto is_back = [&] { return monitor_->rss_kib() <= allowed_rss_kib(left.stored); };
  const auto passed = [&] { return std::chrono::steady_clock::now() - begin; };
  EXPECT_TRUE(eventually([&] { return is_back() || passed() > kGiveUp; }));
  const auto took = passed();
  std::printf("memory after %.0f ms: %zu KiB\n", in_ms(took), monitor_->rss_kib());
  EXPECT_TRUE(is_back()) << "memory is not given back; before it was " << base_rss_kib_ << " KiB";
  if (!why_times_are_not_judged().empty()) return;
  EXPECT_LE(in_ms(took), slow_machine() * in_ms(kReturn));
}

void Stage::judge_neighbours() {
  neighbours_->stop();
  const auto calls = neighbours_->calls(), lost = neighbours_->lost();
  std::printf("calls of the neighbours: %zu, lost %zu\n", static_cast<std::size_t>(calls),
              static_cast<std::size_t>(lost));
  EXPECT_GT(calls, 0u);
  EXPECT_LE(static_cast<double>(lost), may_lose * static_cast<double>(calls));
}

void Stage::judge_log() {
  EXPECT_EQ(daemon_->stop(), 0) << "a charge is left, or it crashed";
  const std::chrono::duration<double> lived = std::chrono::steady_clock::now() - begin_;
  const auto& text = daemon_->process().errors();
  std::istringstream lines(text);
  std::size_t records = 0;
  for (std::string line; std::getline(lines, line); ++records) {
    EXPECT_EQ(line.find("libprotobuf"), std::string::npos) << "not of the daemon's journal: " << line;
    EXPECT_LE(line.size(), kRecordBytes);
  }
  std::printf("journal: %zu records, %zu bytes\n", records, text.size());
  EXPECT_LE(static_cast<double>(records), kRecordsBurst + kOwnRecords + kRecordsPerSecond * lived.count());
}

}  // namespace hostcall::test
