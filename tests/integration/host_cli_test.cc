// hostcallctl as an administrator runs it: the real program against a real daemon, judged by output, error text and
// exit code.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "hostcall/v1/admin.pb.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/integration/cli.h"

namespace hostcall::test {
namespace {

class HostCli : public Cli {};

TEST_F(HostCli, VmsAreAddedShownAndRemoved) {
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

TEST_F(HostCli, AVmWithAListenerOfItsOwnCanCallAtOnce) {
  const auto path = daemon_.directory() / "fc1.sock";
  const auto added =
      answer(host({"vm", "add", "fc1", "--unix", path, "--vmm-uid", std::to_string(::getuid()), "--json"}));
  EXPECT_EQ(added["vm"]["record"]["unixPath"], path);
  EXPECT_EQ(guest_as("fc1", {"whoami", "-q"}).output, "fc1\n");
}

TEST_F(HostCli, WhatTheDaemonRefusesHasItsExitCode) {
  expect_failure(host({"vm", "add", "web1", "--cid", "77"}), 1, "web1");
  expect_failure(host({"vm", "add", "BAD", "--cid", "77"}), 2, "BAD");
  expect_failure(host({"vm", "add", "x", "--cid", "2"}), 2, "from 3");
  expect_failure(host({"vm", "add", "x", "--cid", "9", "--limit", "nothing=1"}), 2, "nothing");
  expect_failure(host({"vm", "add", "x", "--cid", "9", "--limit", "streams"}), 2, "NAME=NUMBER");
  expect_failure(host({"vm", "remove", "web1"}), 1, daemon_.vms_file());
  expect_failure(host({"vm", "remove", "nobody"}), 1, "nobody");
  expect_failure(host({"session", "close", "999999"}), 1, "999999");
}

// The socket of the administrators is nobody's else, by whatever name.
TEST_F(HostCli, TheAdminSocketIsNoVms) {
  const auto link = daemon_.directory() / "link";
  std::filesystem::create_directory_symlink(".", link);
  std::filesystem::create_symlink("admin.sock", daemon_.directory() / "file-link");
  for (const auto& path : {daemon_.admin_path(), link + "/admin.sock", daemon_.directory() / "file-link"}) {
    const auto refused = host({"vm", "add", "evil", "--unix", path});
    expect_failure(refused, 1, "unix_path " + path + " is taken by hostcalld itself, as the admin socket");
    EXPECT_TRUE(contains(refused.errors, daemon_.admin_path())) << refused.errors;
    expect_failure(host({"vm", "remove", "evil"}), 1, "no VM \"evil\"");
  }
  const std::string record = R"({"name": "evil", "unix_path": ")" + link + R"(/admin.sock"})";
  std::filesystem::copy_file(daemon_.directory().write("evil.json", record), daemon_.directory() / "vms.d/evil.json");
  const auto reload = host({"policy", "reload"});
  EXPECT_EQ(reload.code, 1) << reload.errors;
  EXPECT_TRUE(contains(reload.errors, "evil.json:1: VM \"evil\": unix_path " + link + "/admin.sock is taken"));
  const auto check = test::run({program("hostcalld"), "--config", daemon_.config_file(), "--check"});
  EXPECT_EQ(check.code, 1);
  EXPECT_TRUE(contains(check.errors, "is taken by hostcalld itself")) << check.errors;
  EXPECT_EQ(host({"vm", "list", "-q"}).code, 0) << "the admin socket is still there";
}

// The complaint quotes what it read, which is the rest of the file.
TEST_F(HostCli, AComplaintIsNeverLargerThanAMessage) {
  daemon_.directory().write("policy.d/60-open.json", "{\"rules\": \"" + std::string(4'500'000, 'x'));
  const auto reload = host({"policy", "reload"});
  EXPECT_EQ(reload.code, 1);
  EXPECT_TRUE(contains(reload.errors, "60-open.json:1: not valid JSON")) << reload.errors.substr(0, 1000);
  EXPECT_LT(reload.errors.size(), 10'000u);
  EXPECT_EQ(host({"vm", "list", "-q"}).code, 0) << "the daemon is still there";
}

// With its standard output closed, a program's socket would become descriptor 1: a guest's value would be sent to the
// daemon as an administrator's call.
TEST_F(HostCli, AClosedStandardOutputIsNeverASocket) {
  wire::RequestFields fields{.service = "hostcall.v1.Admin", .method = "VmAdd"};
  v1::VmAddRequest add;
  add.mutable_record()->set_name("evil");
  add.mutable_record()->set_cid(666);
  const auto payload = add.SerializeAsString();
  std::string data(wire::request_size(fields, payload.size()), '\0');
  wire::write_request(fields, std::string_view(payload), data.data());
  std::string call(wire::kHeaderBytes, '\0');
  wire::encode_header(
      {.length = static_cast<std::uint32_t>(data.size()), .stream = 3, .type = wire::FrameType::kRequest}, call.data());
  ASSERT_EQ(guest({"kv", "put", "/self/hello", "-"}, call + data).code, 0);
  const auto closed = [&](const std::string& redirections, const Words& words) {
    Words all{"/bin/sh", "-c", "exec \"$@\" " + redirections, "sh"};
    all.insert(all.end(), words.begin(), words.end());
    return test::run(all);
  };
  const auto show = host_words({"kv", "get", "/hello", "--vm", "web1"});
  EXPECT_EQ(test::run(show).output, call + data);
  const auto refused = closed(">&-", show);
  EXPECT_EQ(refused.code, 125);
  EXPECT_TRUE(contains(refused.errors, "standard output")) << refused.errors;
  for (const auto* redirections : {"<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"}) {
    EXPECT_EQ(closed(redirections, show).code, 125) << redirections;
    EXPECT_EQ(closed(redirections, guest_words({"kv", "get", "/self/hello"})).code, 125) << redirections;
    EXPECT_EQ(closed(redirections, {program("hostcalld"), "--config", daemon_.config_file(), "--check"}).code, 1);
    EXPECT_EQ(closed(redirections, {program("hostcalld"), "--version"}).code, 1);
    EXPECT_EQ(closed(redirections, {program("hostcallctl"), "--help"}).code, 125);
  }
  EXPECT_EQ(closed("2>&-", show).output, call + data) << "what is not needed may be closed";
  expect_failure(host({"vm", "show", "evil"}), 1, "evil");
}

TEST_F(HostCli, PolicyFilesAreCheckedWithoutUse) {
  EXPECT_EQ(host({"policy", "check"}).output, "1 file, 2 rules: no error\n");
  const auto good = daemon_.directory().write("good.json", R"({"rules": []})");
  EXPECT_EQ(answer(host({"policy", "check", good, daemon_.policy_file(), "--json"})),
            json({{"rules", 2}, {"files", 2}}));
  const auto bad = daemon_.directory().write("bad.json", "{\"rules\": [\n  {\"vms\": 7}]}");
  expect_failure(host({"policy", "check", good, bad}), 1, "bad.json:2");
  expect_failure(host({"policy", "check", "/nonexistent.json"}), 2, "/nonexistent.json");
}

TEST_F(HostCli, PolicyExplainsWhatTheGuestSees) {
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

TEST_F(HostCli, AReloadIsAllOrNothing) {
  daemon_.directory().write("policy.d/50-test.json", "{");
  expect_failure(host({"policy", "reload"}), 1, daemon_.policy_file());
  EXPECT_EQ(guest({"info"}).code, 0);
  daemon_.directory().write("policy.d/50-test.json",
                            R"({"rules": [{"vms": ["db1"], "calls": ["*"], "action": "allow"}]})");
  EXPECT_EQ(host({"policy", "reload"}).output, "3 VMs and 1 rule in force\n");
  EXPECT_EQ(guest({"info"}).code, 126);
  EXPECT_EQ(guest_as("db1", {"info"}).code, 0);
}

TEST_F(HostCli, SessionsAreListedAndClosed) {
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

TEST_F(HostCli, StatsCount) {
  guest_as("db1", {"info"});
  std::map<std::string, std::string> counters;
  const auto stats = answer(host({"stats", "--json"}));
  for (const auto& counter : stats["counters"]) counters[counter["name"]] = counter["value"];
  EXPECT_EQ(counters["calls_denied"], "1");
  EXPECT_EQ(counters["vms"], "3");
  EXPECT_TRUE(contains(host({"stats"}).output, "calls_denied"));
}

TEST_F(HostCli, HostDoctorSeesDaemonAndListeners) {
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

TEST_F(HostCli, HostDoctorFailsWithoutDaemon) {
  const auto run = test::run({program("hostcallctl"), "--socket", "/nonexistent/admin.sock", "doctor", "-q"});
  EXPECT_EQ(run.code, 1);
  EXPECT_TRUE(contains(run.output, "fail  daemon:")) << run.output;
}

TEST_F(HostCli, AnUnprivilegedUserIsToldWhoMayUseTheSocket) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  // Readable programs and an unreadable socket directory: mkdtemp made it 0700.
  auto command = host_words({"vm", "list"});
  command.insert(command.begin(), {"/usr/bin/setpriv", "--reuid=65534", "--clear-groups"});
  expect_failure(test::run(command), 126, "member of group hostcall");
}

TEST_F(HostCli, HelpIsCompleteAndFitsATerminal) {
  for (const Words& verb : {Words{},
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
                            {"doctor"}})
    expect_help("hostcallctl", verb);
}

TEST_F(HostCli, WithoutAVerbTheUsageIsWrong) {
  expect_failure(test::run({program("hostcallctl"), "vm"}), 2, "hostcallctl vm --help");
}

}  // namespace
}  // namespace hostcall::test
