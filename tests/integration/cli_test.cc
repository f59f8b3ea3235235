// Both command lines as users run them: real programs against a real daemon, judged by output, error text and exit
// code.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/daemon_process.h"
#include "tests/support/process.h"

namespace hostcall::test {
namespace {

using nlohmann::json;
using testing::Test;

constexpr std::chrono::seconds kPatience(20);
// What a poll for output that must come costs at most before it looks again.
constexpr std::chrono::milliseconds kLook(20);

using Words = std::vector<std::string>;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream input(text);
  for (std::string line; std::getline(input, line);) lines.push_back(line);
  return lines;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

class Cli : public Test {
 protected:
  static Words words(const std::string& name, const Words& place, const Words& more) {
    Words all{program(name)};
    all.insert(all.end(), place.begin(), place.end());
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Words guest_words(const Words& more, const std::string& vm = "web1") const {
    return words("hostcall", {"--address", daemon_.vm_address(vm)}, more);
  }
  Words host_words(const Words& more) const { return words("hostcallctl", {"--socket", daemon_.admin_path()}, more); }
  Finished guest(const Words& more, const std::string& input = {}) const {
    return test::run(guest_words(more), {.environment = {}, .input = input});
  }
  Finished guest_as(const std::string& vm, const Words& more) const { return test::run(guest_words(more, vm)); }
  Finished host(const Words& more) const { return test::run(host_words(more)); }
  // Looks again and again while the process runs, and takes its output.
  template <class Condition>
  static void wait_until(const Condition& holds, Process& process) {
    for (int looks = 0; !holds(); ++looks) {
      ASSERT_FALSE(process.wait(kLook)) << process.errors();
      ASSERT_LT(looks, kPatience / kLook);
    }
  }
  // The JSON of a run that must succeed.
  static json answer(const Finished& run) {
    EXPECT_EQ(run.code, 0) << run.errors;
    EXPECT_EQ(lines_of(run.output).size(), 1U) << run.output;
    return json::parse(run.output, nullptr, false);
  }
  // A failure is one line on standard error, and nothing on standard output.
  static void expect_failure(const Finished& run, int code, const std::string& text) {
    EXPECT_EQ(run.code, code) << run.errors;
    EXPECT_TRUE(contains(run.errors, text)) << run.errors;
    EXPECT_TRUE(run.errors.starts_with("hostcall: ") || run.errors.starts_with("hostcallctl: ")) << run.errors;
    EXPECT_EQ(lines_of(run.errors).size(), 1U) << run.errors;
    EXPECT_EQ(run.output, "");
  }

  // web1 may everything, db1 may not ask for the host's facts, and intruder's VMM has the wrong uid.
  DaemonProcess daemon_{{.vms = {},
                         .vms_json = R"({"vms": [
    {"name": "web1", "unix_path": "@DIR@/web1.sock", "tags": ["web", "prod"]},
    {"name": "db1", "unix_path": "@DIR@/db1.sock"},
    {"name": "intruder", "unix_path": "@DIR@/intruder.sock", "vmm_uid": )" +
                                     std::to_string(::getuid() + 1) + "}]}",
                         .config_json = {},
                         .policy_json = R"({"rules": [
    {"vms": ["db1"], "calls": ["hostcall.v1.Host/*", "hostcall.v1.Session/Descriptors"], "action": "deny"},
    {"vms": ["*"], "calls": ["*"], "action": "allow"}]})"}};
};

// ---------------------------------------------------------------- hostcall

TEST_F(Cli, WhoAmITellsNameAndEvidence) {
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

TEST_F(Cli, TheAddressComesFromTheEnvironment) {
  const auto run = test::run({program("hostcall"), "whoami", "-q"},
                             {.environment = {{"HOSTCALL_ADDRESS", daemon_.vm_address("db1")}}, .input = {}});
  EXPECT_EQ(run.output, "db1\n");
}

TEST_F(Cli, PingCountsAndMeasures) {
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

TEST_F(Cli, PingEndsWithItsStatisticsOnCtrlC) {
  Process ping(guest_words({"ping", "-c", "1000", "-i", "1h"}));
  wait_until([&] { return contains(ping.output(), "seq=1"); }, ping);
  ping.signal(SIGINT);
  EXPECT_EQ(ping.wait(kPatience), 0);
  EXPECT_TRUE(contains(ping.output(), "1 transmitted, 1 received")) << ping.output();
}

TEST_F(Cli, PingWorksWhereTheHostsNameIsDenied) {
  const auto run = guest_as("db1", {"ping", "-c", "1"});
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_TRUE(contains(run.output, "reply from " + daemon_.vm_address("db1"))) << run.output;
}

TEST_F(Cli, InfoTellsFactsAndMetrics) {
  char name[256] = {};
  ASSERT_EQ(::gethostname(name, sizeof name - 1), 0);
  EXPECT_EQ(guest({"info", "-q"}).output, std::string(name) + "\n");
  EXPECT_EQ(answer(guest({"info", "--json"}))["hostName"], name);
  EXPECT_GT(answer(guest({"info", "--metrics", "--json"}))["cpusOnline"], 0);
  EXPECT_TRUE(contains(guest({"info", "--metrics"}).output, "memory available"));
}

TEST_F(Cli, ServicesAreThoseThatPolicyAllows) {
  const auto all = lines_of(guest({"services", "-q"}).output);
  EXPECT_NE(std::ranges::find(all, "hostcall.v1.Host/Info"), all.end());
  const auto less = lines_of(guest_as("db1", {"services", "-q"}).output);
  EXPECT_EQ(std::ranges::find(less, "hostcall.v1.Host/Info"), less.end());
  EXPECT_NE(std::ranges::find(less, "hostcall.v1.Session/Ping"), less.end());
  EXPECT_TRUE(contains(guest({"services"}).output, "connections"));
  EXPECT_FALSE(answer(guest({"services", "--json"}))["limits"].empty());
}

TEST_F(Cli, CallMapsJsonForEveryShape) {
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

TEST_F(Cli, ALongBidirectionalStreamDoesNotStall) {
  constexpr int kMessages = 3000;
  const std::string document = R"({"payload":")" + std::string(2000, 'A') + "\"}\n";
  std::string input;
  for (int i = 0; i < kMessages; ++i) input += document;
  const auto run = guest({"call", "hostcall.v1.Diagnostics/EchoStream"}, input);
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_EQ(run.output.size(), input.size());
  EXPECT_EQ(run.output, input);
}

TEST_F(Cli, CallFallsBackToItsOwnDescriptors) {
  // db1 may not ask for the host's.
  EXPECT_EQ(answer(test::run(guest_words({"call", "hostcall.v1.Session/WhoAmI", "--json"}, "db1")))["vmName"], "db1");
}

TEST_F(Cli, CallRefusesJsonThatDoesNotFit) {
  for (const auto* document : {"{", "[1,2]", R"({"payloat": "aGk="})", R"({"delayMs": "soon"})"})
    expect_failure(guest({"call", "hostcall.v1.Diagnostics/Echo", document}), 2, "hostcall.v1.EchoRequest");
  expect_failure(guest({"call", "hostcall.v1.Diagnostics/Sink"}, "{\"data\": \"aGk=\"}\nnonsense\n"), 2,
                 "hostcall.v1.Chunk");
}

TEST_F(Cli, ExitCodesAreTheDocumentedOnes) {
  expect_failure(guest({"whoami", "--nothing"}), 2, "hostcall whoami --help");
  expect_failure(guest({"call", "hostcall.v1.Diagnostics/Echo", R"({"delayMs": 60001})"}), 2, "60000");
  expect_failure(guest({"call", "hostcall.v1.Diagnostics/Echo", R"({"delayMs": 30000})", "--timeout", "100ms"}), 124,
                 "DEADLINE_EXCEEDED");
  expect_failure(guest_as("db1", {"info"}), 126, daemon_.policy_file());
  expect_failure(guest({"call", "hostcall.v1.Host/Inof"}), 127, "hostcall.v1.Host/Info");
  expect_failure(guest({"call", "no.such.Service/Method"}), 127, "hostcall.v1.Session");
  expect_failure(test::run({program("hostcall"), "whoami", "--address", "unix:/nonexistent/socket"}), 125,
                 "/nonexistent/socket");
  expect_failure(test::run({program("hostcall"), "whoami", "--address", "tcp:localhost"}), 2, "tcp:localhost");
  expect_failure(guest({"whoami", "--privileged-port"}), 2, daemon_.vm_address("web1") + " has no ports");
}

TEST_F(Cli, ARefusedVmHasExitCode126AndTheHostsRemedy) {
  expect_failure(guest_as("intruder", {"whoami"}), 126, "uid");
  expect_failure(guest_as("intruder", {"ping"}), 126, "uid");
  expect_failure(guest_as("intruder", {"whoami", "--wait", "--timeout", "1h"}), 126, "uid");
}

TEST_F(Cli, WaitIsForAHostThatIsNotThereYet) {
  EXPECT_EQ(daemon_.stop(), 0);
  expect_failure(guest({"whoami"}), 125, "is hostcalld running");
  expect_failure(guest({"whoami", "--wait", "--timeout", "300ms"}), 124, "is hostcalld running");
  Process patient(guest_words({"whoami", "-q", "--wait"}));
  EXPECT_FALSE(patient.wait(std::chrono::milliseconds(300))) << patient.errors();
  daemon_.restart();
  EXPECT_EQ(patient.wait(kPatience), 0) << patient.errors();
  EXPECT_EQ(patient.output(), "web1\n");
}

TEST_F(Cli, AHostThatHangsCostsNoMoreThanTheDeadline) {
  daemon_.process().signal(SIGSTOP);
  expect_failure(guest({"whoami", "--timeout", "300ms"}), 124, "DEADLINE_EXCEEDED");
  expect_failure(host({"vm", "list", "--timeout", "300ms"}), 124, "DEADLINE_EXCEEDED");
  daemon_.process().signal(SIGCONT);
  EXPECT_EQ(guest({"whoami"}).code, 0);
}

TEST_F(Cli, AConnectionThatBreaksLeavesTheOutcomeUnknown) {
  Process call(guest_words({"call", "hostcall.v1.Diagnostics/Echo", R"({"delayMs": 30000})"}));
  wait_until([&] { return answer(host({"vm", "show", "web1", "--json"}))["vm"]["streams"] == 1; }, call);
  daemon_.process().signal(SIGKILL);
  EXPECT_EQ(call.wait(kPatience), 125);
  EXPECT_TRUE(contains(call.errors(), "outcome is unknown")) << call.errors();
}

TEST_F(Cli, AReaderThatGoesEndsAStreamQuietly) {
  const auto run = test::run(
      {"/bin/sh", "-c",
       program("hostcall") + " --address " + daemon_.vm_address("web1") +
           R"( call hostcall.v1.Diagnostics/Source '{"totalBytes": "50000000", "chunkBytes": 1000}' | head -n 1)"});
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(lines_of(run.output).size(), 1U);
  EXPECT_EQ(run.errors, "");
}

TEST_F(Cli, AFullDiskIsNoSuccess) {
  const auto run = test::run(
      {"/bin/sh", "-c", program("hostcall") + " --address " + daemon_.vm_address("web1") + " whoami > /dev/full"});
  expect_failure(run, 125, "No space left on device");
}

TEST_F(Cli, GuestDoctorIsHealthyWhereItShouldBe) {
  const auto healthy = answer(guest({"doctor", "--json"}));
  EXPECT_EQ(healthy["healthy"], true);
  EXPECT_GE(healthy["findings"].size(), 4U);
  EXPECT_EQ(guest({"doctor", "-q"}).output, "");
  const auto refused = guest_as("intruder", {"doctor", "--json"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_EQ(json::parse(refused.output)["healthy"], false);
}

// ---------------------------------------------------------------- hostcallctl

TEST_F(Cli, VmsAreAddedShownAndRemoved) {
  EXPECT_EQ(host({"vm", "add", "new1", "--cid", "77", "--tag", "a", "--tag", "b", "--limit", "streams=9", "-q"}).output,
            "");
  const auto shown = answer(host({"vm", "show", "new1", "--json"}));
  EXPECT_EQ(shown["vm"]["record"]["cid"], 77);
  EXPECT_EQ(shown["vm"]["record"]["tags"], json({"a", "b"}));
  EXPECT_EQ(shown["vm"]["record"]["hasVmmUid"], false);
  EXPECT_EQ(shown["vm"]["origin"], "run time");
  const auto text = host({"vm", "show", "new1"});
  for (const auto* part : {"CID 77", "streams=9", "run time"}) EXPECT_TRUE(contains(text.output, part)) << text.output;
  EXPECT_EQ(lines_of(host({"vm", "list", "-q"}).output), (Words{"db1", "intruder", "new1", "web1"}));
  EXPECT_TRUE(contains(host({"vm", "list"}).output, "CID 77"));
  EXPECT_EQ(host({"vm", "remove", "new1"}).code, 0);
  expect_failure(host({"vm", "show", "new1"}), 1, "new1");
}

TEST_F(Cli, AVmWithAListenerOfItsOwnCanCallAtOnce) {
  const auto path = daemon_.directory() / "fc1.sock";
  const auto added =
      answer(host({"vm", "add", "fc1", "--unix", path, "--vmm-uid", std::to_string(::getuid()), "--json"}));
  EXPECT_EQ(added["vm"]["record"]["unixPath"], path);
  EXPECT_EQ(guest_as("fc1", {"whoami", "-q"}).output, "fc1\n");
}

TEST_F(Cli, WhatTheDaemonRefusesHasItsExitCode) {
  expect_failure(host({"vm", "add", "web1", "--cid", "77"}), 1, "web1");
  expect_failure(host({"vm", "add", "BAD", "--cid", "77"}), 2, "BAD");
  expect_failure(host({"vm", "add", "x", "--cid", "2"}), 2, "from 3");
  expect_failure(host({"vm", "add", "x", "--cid", "9", "--limit", "nothing=1"}), 2, "nothing");
  expect_failure(host({"vm", "add", "x", "--cid", "9", "--limit", "streams"}), 2, "NAME=NUMBER");
  expect_failure(host({"vm", "remove", "web1"}), 1, daemon_.vms_file());
  expect_failure(host({"vm", "remove", "nobody"}), 1, "nobody");
  expect_failure(host({"session", "close", "999999"}), 1, "999999");
}

TEST_F(Cli, PolicyFilesAreCheckedWithoutUse) {
  EXPECT_EQ(host({"policy", "check"}).output, "1 file, 2 rules: no error\n");
  const auto good = daemon_.directory().write("good.json", R"({"rules": []})");
  EXPECT_EQ(answer(host({"policy", "check", good, daemon_.policy_file(), "--json"})),
            json({{"rules", 2}, {"files", 2}}));
  const auto bad = daemon_.directory().write("bad.json", "{\"rules\": [\n  {\"vms\": 7}]}");
  expect_failure(host({"policy", "check", good, bad}), 1, "bad.json:2");
  expect_failure(host({"policy", "check", "/nonexistent.json"}), 2, "/nonexistent.json");
}

TEST_F(Cli, PolicyExplainsWhatTheGuestSees) {
  const auto allowed = host({"policy", "explain", "--vm", "web1", "--call", "hostcall.v1.Host/Info"});
  EXPECT_EQ(allowed.code, 0);
  EXPECT_TRUE(contains(allowed.output, daemon_.policy_file() + ":3")) << allowed.output;
  const auto denied = host({"policy", "explain", "--vm", "db1", "--call", "hostcall.v1.Host/Info"});
  EXPECT_EQ(denied.code, 126);
  ASSERT_FALSE(denied.output.empty());
  EXPECT_TRUE(contains(guest_as("db1", {"info"}).errors, denied.output)) << denied.output;
  const auto verdict =
      json::parse(host({"policy", "explain", "--vm", "db1", "--call", "hostcall.v1.Host/Info", "--json"}).output);
  EXPECT_EQ(verdict["allowed"], false);
  EXPECT_EQ(verdict["line"], 2);
  expect_failure(host({"policy", "explain", "--vm", "nobody", "--call", "hostcall.v1.Host/Info"}), 1, "nobody");
}

TEST_F(Cli, AReloadIsAllOrNothing) {
  daemon_.directory().write("policy.d/50-test.json", "{");
  expect_failure(host({"policy", "reload"}), 1, daemon_.policy_file());
  EXPECT_EQ(guest({"info"}).code, 0);
  daemon_.directory().write("policy.d/50-test.json",
                            R"({"rules": [{"vms": ["db1"], "calls": ["*"], "action": "allow"}]})");
  EXPECT_EQ(host({"policy", "reload"}).output, "3 VMs and 1 rule in force\n");
  EXPECT_EQ(guest({"info"}).code, 126);
  EXPECT_EQ(guest_as("db1", {"info"}).code, 0);
}

TEST_F(Cli, SessionsAreListedAndClosed) {
  Process ping(guest_words({"ping", "-c", "1000", "-i", "1h"}));
  wait_until([&] { return contains(ping.output(), "seq=1"); }, ping);
  const auto sessions = answer(host({"session", "list", "--vm", "web1", "--json"}))["sessions"];
  ASSERT_EQ(sessions.size(), 1U);
  EXPECT_TRUE(contains(sessions[0]["client"], "hostcall")) << sessions;
  const std::string id = sessions[0]["id"];
  EXPECT_EQ(host({"session", "list", "--vm", "web1", "-q"}).output, id + "\n");
  EXPECT_TRUE(contains(host({"session", "list"}).output, "@admin"));
  EXPECT_EQ(host({"session", "close", id}).output, "session " + id + " closed\n");
  EXPECT_EQ(host({"session", "list", "--vm", "web1", "-q"}).output.find(id + "\n"), std::string::npos);
  expect_failure(host({"session", "list", "--vm", "nobody"}), 1, "nobody");
}

TEST_F(Cli, StatsCount) {
  guest_as("db1", {"info"});
  std::map<std::string, std::string> counters;
  const auto stats = answer(host({"stats", "--json"}));
  for (const auto& counter : stats["counters"]) counters[counter["name"]] = counter["value"];
  EXPECT_EQ(counters["calls_denied"], "1");
  EXPECT_EQ(counters["vms"], "3");
  EXPECT_TRUE(contains(host({"stats"}).output, "calls_denied"));
}

TEST_F(Cli, HostDoctorSeesDaemonAndListeners) {
  std::filesystem::remove(daemon_.vm_path("db1"));
  const auto run = host({"doctor", "--json"});
  EXPECT_EQ(run.code, 1);
  std::map<std::string, std::string> states;
  const auto report = json::parse(run.output);
  for (const auto& finding : report["findings"]) states[finding["check"]] = finding["state"];
  EXPECT_EQ(states["daemon"], "ok");
  EXPECT_EQ(states["listener.web1"], "ok");
  EXPECT_EQ(states["listener.db1"], "fail");
  EXPECT_EQ(states.count("kernel") + states.count("kernel.CVE-2024-50264") + states.count("kernel.CVE-2025-21756"), 1U);
}

TEST_F(Cli, HostDoctorFailsWithoutDaemon) {
  const auto run = test::run({program("hostcallctl"), "--socket", "/nonexistent/admin.sock", "doctor", "-q"});
  EXPECT_EQ(run.code, 1);
  EXPECT_TRUE(contains(run.output, "fail  daemon:")) << run.output;
}

TEST_F(Cli, AnUnprivilegedUserIsToldWhoMayUseTheSocket) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  // Readable programs and an unreadable socket directory: mkdtemp made it 0700.
  auto command = host_words({"vm", "list"});
  command.insert(command.begin(), {"/usr/bin/setpriv", "--reuid=65534", "--clear-groups"});
  expect_failure(test::run(command), 126, "member of group hostcall");
}

// ---------------------------------------------------------------- both

TEST_F(Cli, HelpIsCompleteAndFitsATerminal) {
  const std::pair<const char*, std::vector<Words>> programs[] = {
      {"hostcall", {{}, {"whoami"}, {"ping"}, {"info"}, {"services"}, {"call"}, {"speedtest"}, {"doctor"}}},
      {"hostcallctl",
       {{},
        {"vm", "list"},
        {"vm", "show"},
        {"vm", "add"},
        {"vm", "remove"},
        {"policy", "check"},
        {"policy", "explain"},
        {"policy", "reload"},
        {"session", "list"},
        {"session", "close"},
        {"stats"},
        {"doctor"}}}};
  for (const auto& [name, verbs] : programs)
    for (const auto& verb : verbs) {
      const auto help = test::run(words(name, verb, {"--help"}));
      EXPECT_EQ(help.code, 0);
      EXPECT_TRUE(contains(help.output, "\nExamples:\n")) << help.output;
      for (const auto& line : lines_of(help.output)) EXPECT_LE(line.size(), 80U) << line;
    }
}

TEST_F(Cli, WithoutAVerbTheUsageIsWrong) {
  expect_failure(test::run({program("hostcall")}), 2, "hostcall --help");
  expect_failure(test::run({program("hostcallctl"), "vm"}), 2, "hostcallctl vm --help");
}

}  // namespace
}  // namespace hostcall::test
