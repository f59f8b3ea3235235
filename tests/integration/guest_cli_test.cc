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
  for (const auto* part : {"web1", "web, prod", "Unix socket of its own"})
    EXPECT_TRUE(contains(text.output, part)) << text.output;
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

TEST_F(GuestCli, DescribesWhatTheVmMayCall) {
  const auto all = lines_of(guest({"describe"}).output);
  EXPECT_NE(std::ranges::find(all, "hostcall.v1.Host"), all.end());
  const auto less = lines_of(guest_as("db1", {"describe"}).output);
  EXPECT_EQ(std::ranges::find(less, "hostcall.v1.Host"), less.end());
  EXPECT_NE(std::ranges::find(less, "hostcall.v1.Session"), less.end());
  EXPECT_EQ(guest({"describe", "-q"}).output, guest({"services", "-q"}).output);
  EXPECT_EQ(answer(guest({"describe", "--json"}))["services"], json(all));
}

TEST_F(GuestCli, DescribesServicesOfHostcall) {
  const auto start = guest({"describe", "hostcall.v1.Run/Start"});
  EXPECT_EQ(start.code, 0) << start.errors;
  for (const auto* part :
       {"// hostcall/v1/run.proto\nsyntax = \"proto3\";\n\npackage hostcall.v1;\n\nservice Run {\n",
        "  rpc Start(stream .hostcall.v1.StartRequest) returns (stream .hostcall.v1.StartResponse);\n}\n",
        "\nmessage StartRequest {\n", "\nmessage Ended {\n", "uint32 exit_code = "})
    EXPECT_TRUE(contains(start.output, part)) << part << start.output;
  EXPECT_EQ(guest({"describe", "hostcall.v1.Host", "-q"}).output, "hostcall.v1.Host/Info\nhostcall.v1.Host/Metrics\n");
  const auto source = answer(guest({"describe", "hostcall.v1.Diagnostics/Source", "--json"}));
  EXPECT_EQ(source, json({{"service", "hostcall.v1.Diagnostics"},
                          {"methods",
                           {{{"name", "Source"},
                             {"request", "hostcall.v1.SourceRequest"},
                             {"reply", "hostcall.v1.Chunk"},
                             {"clientStreaming", false},
                             {"serverStreaming", true}}}}}));
  // db1 may not ask for the host's.
  EXPECT_TRUE(contains(guest_as("db1", {"describe", "hostcall.v1.Store"}).output, "message PutRequest {"));
  expect_failure(guest_as("db1", {"describe", "acme.v1.Stock"}), 126, "or give --descriptors FILE");
  expect_failure(guest({"describe", "hostcall.v1.Admin"}), 127, "hostcall.v1.Session");
  expect_failure(guest({"describe", "hostcall.v1.Host/Inof"}), 127, "it has hostcall.v1.Host/Info");
  expect_failure(guest({"describe", "acme.v1.Stock"}), 127, "this VM may call hostcall.v1.Diagnostics");
  expect_failure(guest({"call", "hostcall.v1.Host"}), 2, "write package.Service/Method");
}

TEST_F(GuestCli, DescriptorsMayComeFromAFile) {
  const auto set = daemon_.directory() / "set.pb", fifo = daemon_.directory() / "fifo";
  const auto saved = test::run({"/bin/sh", "-c",
                                program("hostcall") + " --address " + daemon_.vm_address("web1") +
                                    R"( call --json hostcall.v1.Session/Descriptors | sed 's/.*:"//; s/".*//' | )" +
                                    "base64 -d > " + set + " && mkfifo " + fifo});
  ASSERT_EQ(saved.code, 0) << saved.errors;
  // db1 may not ask for the host's.
  EXPECT_TRUE(contains(guest_as("db1", {"describe", "--descriptors", set}).output, "hostcall.v1.Host\n"));
  EXPECT_EQ(answer(guest_as("db1", {"call", "--descriptors", set, "hostcall.v1.Session/WhoAmI", "--json"}))["vmName"],
            "db1");
  EXPECT_EQ(guest({"describe", "hostcall.v1.Store", "--descriptors", set}).output,
            guest({"describe", "hostcall.v1.Store"}).output);
  for (const Words& verb : {Words{"describe"}, {"describe", "hostcall.v1.Host"}, {"call", "hostcall.v1.Host/Info"}}) {
    const auto fails = [&](const std::string& path, int code, const std::string& text) {
      auto words = verb;
      words.insert(words.end(), {"--descriptors", path, "--timeout", code == 124 ? "300ms" : "1h"});
      expect_failure(guest(words), code, text);
    };
    fails(fifo, 124, "did not end before the deadline");
    fails("/dev/zero", 2, "/dev/zero is larger than the maximum of 1048576 bytes");
    fails("/dev/null", 2, "/dev/null describes no service");
    fails(program("hostcall"), 2, "maximum of 1048576 bytes");
    fails(daemon_.directory() / "none", 2, "cannot be opened");
  }
}

TEST_F(GuestCli, CallRefusesJsonThatDoesNotFit) {
  for (const auto* document : {"{", "[1,2]", R"({"payloat": "aGk="})", R"({"delayMs": "soon"})"})
    expect_failure(guest({"call", "hostcall.v1.Diagnostics/Echo", document}), 2, "hostcall.v1.EchoRequest");
  expect_failure(guest({"call", "hostcall.v1.Diagnostics/Sink"}, "{\"data\": \"aGk=\"}\nnonsense\n"), 2,
                 "document 2 of the JSON of standard input does not fit hostcall.v1.Chunk");
  expect_failure(guest({"call", "hostcall.v1.Store/Get", "{\"key\": \"/self/\xff\"}"}), 2,
                 "not UTF-8: byte 16 is \\xff");
}

TEST_F(GuestCli, ExitCodesAreTheDocumentedOnes) {
  expect_failure(guest({"whoami", "--nothing"}), 2, "hostcall whoami --help");
  expect_failure(guest({"call", "hostcall.v1.Diagnostics/Echo", R"({"delayMs": 60001})"}), 2, "60000");
  expect_failure(guest({"call", "hostcall.v1.Diagnostics/Echo", R"({"delayMs": 60000})", "--timeout", "100ms"}), 124,
                 "DEADLINE_EXCEEDED");
  expect_failure(guest_as("db1", {"info"}), 126, "denied by 50-test.json:");
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

// One connection at a time, and one new one a second.
TEST_F(GuestCli, ALimitThatPassesIsWaitedFor) {
  ASSERT_EQ(host({"vm", "add", "slow", "--unix", daemon_.directory() / "slow.sock", "--limit", "connect_rate=1",
                  "--limit", "connect_burst=1"})
                .code,
            0);
  for (const auto* verb : {"whoami", "services", "doctor"}) EXPECT_EQ(guest_as("slow", {verb}).code, 0) << verb;
  // A slow machine is not refused within the first of these.
  Finished refused;
  for (const auto* timeout : {"10ms", "50ms", "200ms", "600ms"})
    if (refused = guest_as("slow", {"whoami", "--timeout", timeout}); refused.code == 123) break;
  expect_failure(refused, 123, "connect_rate");
  EXPECT_TRUE(contains(refused.errors, "retry in")) << refused.errors;
  for (const Words& words : {Words{"ping", "-c", "1"},
                             {"call", "hostcall.v1.Session/WhoAmI"},
                             {"kv", "put", "/self/a", "1"},
                             {"kv", "watch", "/self/a", "--snapshot", "-n", "1"},
                             {"kv", "get", "/self/a", "--wait"}})
    EXPECT_EQ(guest_as("slow", words).code, 0) << words[1] << " waits by itself";
}

TEST_F(GuestCli, AConnectionTooManyWaitsForAnotherToEnd) {
  ASSERT_EQ(host({"vm", "add", "one", "--unix", daemon_.directory() / "one.sock", "--limit", "connections=1"}).code, 0);
  Process ping(guest_words({"ping", "-c", "2", "-i", "1h"}, "one"));
  wait_until([&] { return contains(ping.output(), "seq=1"); }, ping);
  expect_failure(guest_as("one", {"whoami", "--timeout", "500ms"}), 123, "connections");
  expect_failure(guest_as("one", {"kv", "get", "/self/a", "--wait", "--timeout", "500ms"}), 123, "connections");
  Process patient(guest_words({"whoami", "-q"}, "one"));
  EXPECT_FALSE(patient.wait(std::chrono::milliseconds(300))) << patient.errors();
  ping.signal(SIGINT);
  EXPECT_EQ(patient.wait(), 0) << patient.errors();
  EXPECT_EQ(patient.output(), "one\n");
}

// No waiting helps: the answer comes at once.
TEST_F(GuestCli, ALimitThatDoesNotPassIsExitCode125) {
  expect_failure(guest({"kv", "put", "/self/big", "-", "--timeout", "1h"}, std::string(70'000, 'x')), 125,
                 "store_value_bytes");
  EXPECT_EQ(guest({"kv", "put", "/self/big", "-", "--timeout", "1h"}, std::string(4'194'304, 'x')).code, 125);
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

// The ping is given up in the middle; its call ends later, with the client.
TEST_F(GuestCli, APingWhoseReaderGoesDiesOfItsPipe) {
  for (const std::string options : {"-c 1", "-c 3 -q", "--json -c 1"}) {
    const auto run = test::run({"/bin/bash", "-c",
                                program("hostcall") + " --address " + daemon_.vm_address("web1") + " ping " + options +
                                    " | true; exit ${PIPESTATUS[0]}"});
    EXPECT_TRUE(run.code == 141 || run.code == 0) << run.code << ": it may be done before its reader goes";
    EXPECT_EQ(run.errors, "");
  }
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

TEST_F(GuestCli, GuestDoctorFindsAnAddressThatIsNone) {
  for (const auto* address : {"nothing", "vsock::18499"}) {
    const auto run = test::run({program("hostcall"), "doctor", "--json"},
                               {.environment = {{"HOSTCALL_ADDRESS", address}}, .input = {}});
    EXPECT_EQ(run.code, 1) << run.errors;
    EXPECT_EQ(json::parse(run.output)["findings"][0]["check"], "address") << run.output;
  }
}

TEST_F(GuestCli, GuestDoctorAdvisesByTheReason) {
  daemon_.directory().write(
      "policy.d/10-no-hello.json",
      R"({"rules": [{"vms": ["db1"], "calls": ["hostcall.v1.Session/Hello"], "action": "deny"}]})");
  ASSERT_EQ(host({"policy", "reload"}).code, 0);
  const auto denied = guest_as("db1", {"doctor"});
  EXPECT_EQ(denied.code, 1);
  EXPECT_TRUE(contains(denied.output, "allow hostcall.v1.Session/Hello in the host's policy")) << denied.output;
  ASSERT_EQ(host({"vm", "add", "one", "--unix", daemon_.directory() / "one.sock", "--limit", "connections=1"}).code, 0);
  Process ping(guest_words({"ping", "-c", "2", "-i", "1h"}, "one"));
  wait_until([&] { return contains(ping.output(), "seq=1"); }, ping);
  const auto full = guest_as("one", {"doctor", "--timeout", "300ms"});
  EXPECT_EQ(full.code, 1);
  EXPECT_TRUE(contains(full.output, "end what uses up the limit")) << full.output;
  ping.signal(SIGINT);
  EXPECT_EQ(ping.wait(), 0);
}

// Also where a shell that started it in the background ignores the signal.
TEST_F(GuestCli, CtrlCEndsWhatStillConnects) {
  for (const std::string verb : {"ping", "speedtest"}) {
    const auto run = test::run(
        {"/bin/sh", "-c",
         program("hostcall") + " --address unix:/nonexistent/socket --wait --timeout 20s " + verb +
             " & pid=$!; until grep -q '^Name:.hostcall$' /proc/$pid/status; do :; done; "
             "while grep -q '^SigIgn:.*[2367abef]$' /proc/$pid/status; do :; done; kill -INT $pid; wait $pid"});
    EXPECT_EQ(run.code, 128 + SIGINT) << verb << run.errors;
  }
}

TEST_F(GuestCli, HelpIsCompleteAndFitsATerminal) {
  for (const Words& verb : {Words{},
                            {"whoami"},
                            {"ping"},
                            {"info"},
                            {"services"},
                            {"run"},
                            {"connect"},
                            {"forward"},
                            {"call"},
                            {"describe"},
                            {"speedtest"},
                            {"doctor"}})
    expect_help("hostcall", verb);
}

TEST_F(GuestCli, WithoutAVerbTheUsageIsWrong) {
  expect_failure(test::run({program("hostcall")}), 2, "hostcall --help");
}

}  // namespace
}  // namespace hostcall::test
