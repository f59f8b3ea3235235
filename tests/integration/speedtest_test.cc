// hostcall speedtest against a real daemon: within the VM's limits, allowed and denied, and ended by Ctrl-C.
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/integration/cli.h"
#include "tests/support/compare_times.h"

namespace hostcall::test {
namespace {

class SpeedTest : public testing::Test {
 protected:
  Words words(const Words& more, const std::string& vm = "web1") const {
    Words all{program("hostcall"), "--address", daemon_.vm_address(vm), "speedtest"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static std::string seconds_text(int seconds) { return std::to_string(seconds) + "s"; }
  Finished run(const Words& more, const std::string& vm = "web1") const { return test::run(words(more, vm)); }

  // web1 has the limits that are shipped, small1 as few as can be, rated1 three calls a second, and db1 no permission.
  DaemonProcess daemon_{{.vms = {},
                         .vms_json = R"({"vms": [
    {"name": "web1", "unix_path": "@DIR@/web1.sock"},
    {"name": "small1", "unix_path": "@DIR@/small1.sock", "limits": {"streams": 2, "message_bytes": 4096}},
    {"name": "rated1", "unix_path": "@DIR@/rated1.sock"},
    {"name": "db1", "unix_path": "@DIR@/db1.sock"}]})",
                         .config_json = {},
                         .policy_json = R"({"rules": [
    {"vms": ["db1"], "calls": ["hostcall.v1.Diagnostics/*"], "action": "deny"},
    {"vms": ["rated1"], "calls": ["hostcall.v1.Diagnostics/Echo"], "action": "allow", "rate": 3},
    {"vms": ["*"], "calls": ["*"], "action": "allow"}]})"}};
};

TEST_F(SpeedTest, MeasuresFourParts) {
  Finished done{};
  const std::chrono::duration<double> all = time_of([&] { done = run({"-t", "300ms", "--json"}); });
  ASSERT_EQ(done.code, 0) << done.errors;
  const auto report = json::parse(done.output);
  EXPECT_EQ(report["vm"], "web1");
  EXPECT_GT(report["latency"]["calls"], 0);
  EXPECT_GT(report["latency"]["minMs"], 0);
  EXPECT_LE(report["latency"]["medianMs"], report["latency"]["p99Ms"]);
  EXPECT_EQ(report["parallel"]["inFlight"], 64);
  EXPECT_GT(report["parallel"]["callsPerSecond"], 0);
  for (const auto* way : {"download", "upload"}) {
    EXPECT_EQ(report[way]["chunkBytes"], 65536) << way;
    EXPECT_GT(report[way]["bytes"], 0) << way;
    EXPECT_GE(report[way]["seconds"], 0.3) << way;
    EXPECT_LT(report[way]["seconds"], all.count()) << way;
  }
}

TEST_F(SpeedTest, PrintsIntervalsAndASummary) {
  const auto done = run({"-t", "1500ms", "-P", "4", "-l", "1000"});
  ASSERT_EQ(done.code, 0) << done.errors;
  for (const auto* part : {"[  1]  0.0-", "[  4]  0.0-", "calls/sec", "bits/sec", " speedtest ---\nlatency   median ",
                           "4 in flight\ndownload  ", "\nupload  "})
    EXPECT_TRUE(contains(done.output, part)) << part << " in\n" << done.output;
  const auto quiet = run({"-t", "300ms", "-q"});
  EXPECT_TRUE(quiet.output.starts_with("--- ")) << quiet.output;
}

TEST_F(SpeedTest, StaysWithinTheLimitsOfTheVm) {
  const auto done = run({"-t", "300ms", "--json"}, "small1");
  ASSERT_EQ(done.code, 0) << done.errors;
  const auto report = json::parse(done.output);
  EXPECT_EQ(report["parallel"]["inFlight"], 2);
  EXPECT_EQ(report["download"]["chunkBytes"], 4096 - 64);
  EXPECT_GT(report["upload"]["bytes"], 0);
  for (const auto& [option, value] : {std::pair("--parallel", "3"), std::pair("--length", "4033")}) {
    const auto refused = run({option, value}, "small1");
    EXPECT_EQ(refused.code, 2) << refused.errors;
    EXPECT_TRUE(contains(refused.errors, std::string(option) + ": this VM's limits allow at most ")) << refused.errors;
  }
  EXPECT_EQ(run({"-t", "300ms", "-P", "256", "-q"}).code, 0) << "all that the VM may have";
}

TEST_F(SpeedTest, APolicyThatDeniesItIsNamed) {
  const auto denied = run({}, "db1");
  EXPECT_EQ(denied.code, 126) << denied.errors;
  EXPECT_TRUE(contains(denied.errors, "50-test.json:2")) << denied.errors;
  EXPECT_FALSE(contains(denied.output, "---")) << denied.output;
}

TEST_F(SpeedTest, ARateOfTheRuleEndsIt) {
  const auto ended = run({"-q"}, "rated1");
  EXPECT_EQ(ended.code, 123) << ended.errors;
  EXPECT_TRUE(contains(ended.errors, "RESOURCE_EXHAUSTED")) << ended.errors;
}

TEST_F(SpeedTest, TimesOutOfRangeAreRefused) {
  for (const auto* time : {"99ms", "601s"}) EXPECT_EQ(run({"-t", time}).code, 2) << time;
  EXPECT_EQ(run({"-P", "0"}).code, 2);
  EXPECT_EQ(run({"-l", "0"}).code, 2);
}

// Four parts take longer than the time-out. A busy machine may need all of it for what it does count; then it has more.
TEST_F(SpeedTest, TheTimeoutDoesNotCountTheMeasuring) {
  int part_seconds = 1;
  while (run({"-t", seconds_text(part_seconds), "--timeout", seconds_text(3 * part_seconds), "-q"}).code != 0) {
    part_seconds *= 3;
    ASSERT_LT(std::chrono::seconds(4 * part_seconds), kPatience) << "the time-out ended it, however long it was";
  }
}

TEST_F(SpeedTest, CtrlCEndsItWithTheSummarySoFar) {
  Process test(words({"-t", "5m"}));
  wait_until([&] { return contains(test.output(), "[  1]"); }, test);
  test.signal(SIGINT);
  EXPECT_EQ(test.wait(), 0) << test.errors();
  EXPECT_TRUE(contains(test.output(), "latency   median ")) << test.output();
  EXPECT_TRUE(contains(test.output(), "\ncalls     -\ndownload  -\nupload    -\n")) << test.output();
}

TEST_F(SpeedTest, AHostThatFallsSilentIsNotWaitedForTooLong) {
  // A busy machine may stop the host only after all parts; then they take longer.
  std::optional<int> code = 0;
  for (int part_seconds = 2; code == 0; part_seconds *= 3) {
    ASSERT_LT(std::chrono::seconds(4 * part_seconds), kPatience) << "the host was stopped too late each time";
    Process test(words({"-t", seconds_text(part_seconds), "--timeout", "3s"}));
    wait_until([&] { return contains(test.output(), "Latency"); }, test);
    daemon_.process().signal(SIGSTOP);
    code = test.wait();
    daemon_.process().signal(SIGCONT);
  }
  EXPECT_EQ(code, 124) << "ended by its time-out";
}

}  // namespace
}  // namespace hostcall::test
