// hostcall as a guest runs it: the real program against a real daemon, judged by output, error text and exit code.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "tests/integration/cli.h"

namespace hostcall::test {
namespace {

class GuestCli : public Cli {};

TEST_F(GuestCli, WhoAmITellsNameAndEvidence) {
  EXPECT_EQ(guest({"whoami", "-q"}).output, "web1\n");
  const auto text = guest({"whoami"});
  EXPECT_EQ(text.code, 0);
  for (const auto* part : {"web1", "web, prod"}) EXPECT_TRUE(contains(text.output, part)) << text.output;
  EXPECT_TRUE(contains(text.output, daemon_.vm_path("web1"))) << text.output;
  const auto caller = answer(guest({"whoami", "--json"}));
  EXPECT_EQ(caller["vmName"], "web1");
  EXPECT_EQ(caller["tags"], json({"web", "prod"}));
  EXPECT_EQ(caller["evidence"], "unix");
  EXPECT_EQ(caller["uuid"], "");
}

TEST_F(GuestCli, TheAddressComesFromTheEnvironment) {
  const auto run = test::run({program("hostcall"), "whoami", "-q"},
                             {.environment = {{"HOSTCALL_ADDRESS", daemon_.vm_address("db1")}}, .input = {}});
  EXPECT_EQ(run.output, "db1\n");
}

TEST_F(GuestCli, PingCountsAndMeasures) {
  const auto run = guest({"ping", "-c", "3", "-i", "1ms"});
  EXPECT_EQ(run.code, 0) << run.errors;
  for (const auto* part :
       {"seq=1 time=", "seq=3 time=", "3 transmitted, 3 received, 0% loss", "rtt min/median/p99/max"})
    EXPECT_TRUE(contains(run.output, part)) << run.output;
  EXPECT_EQ(lines_of(guest({"ping", "-c", "2", "-i", "1ms", "-q"}).output).size(), 4U);
  const auto report = answer(guest({"ping", "-c", "2", "-i", "1ms", "--json"}));
  EXPECT_EQ(report["vm"], "web1");
  EXPECT_EQ(report["received"], 2);
  EXPECT_LE(report["minMs"], report["maxMs"]);
}

TEST_F(GuestCli, PingEndsWithItsStatisticsOnCtrlC) {
  Process ping(guest_words({"ping", "-c", "1000", "-i", "1h"}));
  wait_until([&] { return contains(ping.output(), "seq=1"); }, ping);
  ping.signal(SIGINT);
  EXPECT_EQ(ping.wait(), 0);
  EXPECT_TRUE(contains(ping.output(), "1 transmitted, 1 received")) << ping.output();
}

TEST_F(GuestCli, PingWorksWhereTheHostsNameIsDenied) {
  const auto run = guest_as("db1", {"ping", "-c", "1"});
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_TRUE(contains(run.output, "reply from " + daemon_.vm_address("db1"))) << run.output;
}

TEST_F(GuestCli, InfoTellsFactsAndMetrics) {
  char name[256] = {};
  ASSERT_EQ(::gethostname(name, sizeof name - 1), 0);
  EXPECT_EQ(guest({"info", "-q"}).output, std::string(name) + "\n");
  EXPECT_EQ(answer(guest({"info", "--json"}))["hostName"], name);
  EXPECT_GT(answer(guest({"info", "--metrics", "--json"}))["cpusOnline"], 0);
  EXPECT_TRUE(contains(guest({"info", "--metrics"}).output, "memory available"));
}

TEST_F(GuestCli, ServicesAreThoseThatPolicyAllows) {
  const auto all = lines_of(guest({"services", "-q"}).output);
  EXPECT_NE(std::ranges::find(all, "hostcall.v1.Host/Info"), all.end());
  const auto less = lines_of(guest_as("db1", {"services", "-q"}).output);
  EXPECT_EQ(std::ranges::find(less, "hostcall.v1.Host/Info"), less.end());
  EXPECT_NE(std::ranges::find(less, "hostcall.v1.Session/Ping"), less.end());
  EXPECT_TRUE(contains(guest({"services"}).output, "connections"));
  EXPECT_FALSE(answer(guest({"services", "--json"}))["limits"].empty());
}

TEST_F(GuestCli, CallMapsJsonForEveryShape) {
  EXPECT_EQ(answer(guest({"call", "hostcall.v1.Diagnostics/Echo", R"({"payload": "aGk="})", "--json"})),
            json({{"payload", "aGk="}}));
  EXPECT_EQ(json::parse(guest({"call", "hostcall.v1.Diagnostics/Echo", "-"}, "{\n\"payload\": \"aGk=\"\n}").output),
            json({{"payload", "aGk="}}));
  const auto source = guest({"call", "hostcall.v1.Diagnostics/Source", R"({"totalBytes": "100", "chunkBytes": 40})"});
  EXPECT_EQ(lines_of(source.output).size(), 3U) << source.output << source.errors;
  const auto sink =
      guest({"call", "hostcall.v1.Diagnostics/Sink", "--json"}, "{\"data\": \"aGk=\"}\n\n{\"data\": \"aA==\"}");
  EXPECT_EQ(answer(sink), json({{"totalBytes", "3"}, {"messages", "2"}}));
  const auto echo = guest({"call", "hostcall.v1.Diagnostics/EchoStream", "{\"payload\": \"aGk=\"}"});
  EXPECT_EQ(echo.output, "{\"payload\":\"aGk=\"}\n");
  EXPECT_EQ(guest({"call", "hostcall.v1.Diagnostics/Echo", "-q"}).output, "");
}

TEST_F(GuestCli, ALongBidirectionalStreamDoesNotStall) {
  constexpr int kMessages = 3000;
  const std::string document = R"({"payload":")" + std::string(2000, 'A') + "\"}\n";
  std::string input;
  for (int i = 0; i < kMessages; ++i) input += document;
  const auto run = guest({"call", "hostcall.v1.Diagnostics/EchoStream"}, input);
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_EQ(run.output.size(), input.size());
  EXPECT_EQ(run.output, input);
}

TEST_F(GuestCli, CallFallsBackToItsOwnDescriptors) {
  // db1 may not ask for the host's.
  EXPECT_EQ(answer(test::run(guest_words({"call", "hostcall.v1.Session/WhoAmI", "--json"}, "db1")))["vmName"], "db1");
}

TEST_F(GuestCli, CallRefusesJsonThatDoesNotFit) {
  for (const auto* document : {"{", "[1,2]", R"({"payloat": "aGk="})", R"({"delayMs": "soon"})"})
    expect_failure(guest({"call", "hostcall.v1.Diagnostics/Echo", document}), 2, "hostcall.v1.EchoRequest");
  expect_failure(guest({"call", "hostcall.v1.Diagnostics/Sink"}, "{\"data\": \"aGk=\"}\nnonsense\n"), 2,
                 "hostcall.v1.Chunk");
}

TEST_F(GuestCli, ExitCodesAreTheDocumentedOnes) {
  expect_failure(guest({"whoami", "--nothing"}), 2, "hostcall whoami --help");
  expect_failure(guest({"call", "hostcall.v1.Diagnostics/Echo", R"({"delayMs": 60001})"}), 2, "60000");
  expect_failure(guest({"call", "hostcall.v1.Diagnostics/Echo", R"({"delayMs": 60000})", "--timeout", "100ms"}), 124,
                 "DEADLINE_EXCEEDED");
  expect_failure(guest_as("db1", {"info"}), 126, daemon_.policy_file());
  expect_failure(guest({"call", "hostcall.v1.Host/Inof"}), 127, "hostcall.v1.Host/Info");
  expect_failure(guest({"call", "no.such.Service/Method"}), 127, "hostcall.v1.Session");
  expect_failure(test::run({program("hostcall"), "whoami", "--address", "unix:/nonexistent/socket"}), 125,
                 "/nonexistent/socket");
  expect_failure(test::run({program("hostcall"), "whoami", "--address", "tcp:localhost"}), 2, "tcp:localhost");
  expect_failure(guest({"whoami", "--privileged-port"}), 2, daemon_.vm_address("web1") + " has no ports");
}

TEST_F(GuestCli, ARefusedVmHasExitCode126AndTheHostsRemedy) {
  expect_failure(guest_as("intruder", {"whoami"}), 126, "uid");
  expect_failure(guest_as("intruder", {"ping"}), 126, "uid");
  expect_failure(guest_as("intruder", {"whoami", "--wait", "--timeout", "1h"}), 126, "uid");
}

TEST_F(GuestCli, WaitIsForAHostThatIsNotThereYet) {
  EXPECT_EQ(daemon_.stop(), 0);
  expect_failure(guest({"whoami"}), 125, "is hostcalld running");
  expect_failure(guest({"whoami", "--wait", "--timeout", "1s"}), 124, "is hostcalld running");
  Process patient(guest_words({"whoami", "-q", "--wait"}));
  EXPECT_FALSE(patient.wait(std::chrono::milliseconds(300))) << patient.errors();
  daemon_.restart();
  EXPECT_EQ(patient.wait(), 0) << patient.errors();
  EXPECT_EQ(patient.output(), "web1\n");
}

TEST_F(GuestCli, AHostThatHangsCostsNoMoreThanTheDeadline) {
  daemon_.process().signal(SIGSTOP);
  expect_failure(guest({"whoami", "--timeout", "300ms"}), 124, "DEADLINE_EXCEEDED");
  expect_failure(host({"vm", "list", "--timeout", "300ms"}), 124, "DEADLINE_EXCEEDED");
  daemon_.process().signal(SIGCONT);
  EXPECT_EQ(guest({"whoami"}).code, 0);
}

TEST_F(GuestCli, AConnectionThatBreaksLeavesTheOutcomeUnknown) {
  Process call(guest_words({"call", "hostcall.v1.Diagnostics/Echo", R"({"delayMs": 60000})", "--timeout", "10m"}));
  wait_until([&] { return answer(host({"vm", "show", "web1", "--json"}))["vm"]["streams"] == 1; }, call);
  daemon_.process().signal(SIGKILL);
  EXPECT_EQ(call.wait(), 125);
  EXPECT_TRUE(contains(call.errors(), "outcome is unknown")) << call.errors();
}

TEST_F(GuestCli, AReaderThatGoesEndsAStreamQuietly) {
  const auto run = test::run(
      {"/bin/sh", "-c",
       program("hostcall") + " --address " + daemon_.vm_address("web1") +
           R"( call hostcall.v1.Diagnostics/Source '{"totalBytes": "50000000", "chunkBytes": 1000}' | head -n 1)"});
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(lines_of(run.output).size(), 1U);
  EXPECT_EQ(run.errors, "");
}

TEST_F(GuestCli, AFullDiskIsNoSuccess) {
  const auto run = test::run(
      {"/bin/sh", "-c", program("hostcall") + " --address " + daemon_.vm_address("web1") + " whoami > /dev/full"});
  expect_failure(run, 125, "No space left on device");
}

TEST_F(GuestCli, GuestDoctorIsHealthyWhereItShouldBe) {
  const auto healthy = answer(guest({"doctor", "--json"}));
  EXPECT_EQ(healthy["healthy"], true);
  EXPECT_GE(healthy["findings"].size(), 4U);
  EXPECT_EQ(guest({"doctor", "-q"}).output, "");
  const auto refused = guest_as("intruder", {"doctor", "--json"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(json::parse(refused.output)["healthy"], false);
}

TEST_F(GuestCli, HelpIsCompleteAndFitsATerminal) {
  for (const Words& verb : {Words{}, {"whoami"}, {"ping"}, {"info"}, {"services"}, {"call"}, {"speedtest"}, {"doctor"}})
    expect_help("hostcall", verb);
}

TEST_F(GuestCli, WithoutAVerbTheUsageIsWrong) {
  expect_failure(test::run({program("hostcall")}), 2, "hostcall --help");
}

}  // namespace
}  // namespace hostcall::test
