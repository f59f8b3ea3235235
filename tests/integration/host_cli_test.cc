// hostcallctl as an administrator runs it: the real program against a real daemon, judged by output, error text and
// exit code.
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "hostcall/v1/admin.pb.h"
#include "tests/integration/cli.h"
#include "tests/support/contents.h"
#include "tests/support/frames.h"

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
  const auto mute = host({"vm", "add", "new2", "--cid", "78", "-q"});
  EXPECT_TRUE(
      mute.errors.starts_with("hostcallctl: warning: VM \"new2\" can't call: it has a CID, but hostcalld has no "
                              "vsock listener; "))
      << mute.errors;
  EXPECT_EQ(host({"vm", "remove", "new2"}).code, 0);
  EXPECT_TRUE(contains(host({"vm", "show", "new1"}).output, "CID 77"));
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
  expect_failure(host({"vm", "add", "x", "--cid", "9", "--limit", "streams=99999999999999999999"}), 2,
                 "above the maximum of 18446744073709551615");
  expect_failure(host({"session", "close", "99999999999999999999"}), 2, "from 0 to 18446744073709551615");
  expect_failure(host({"vm", "add", "x", "--cid", "9", "--limit", "streams=1", "--limit", "streams=2"}), 2,
                 "limit \"streams\" is given twice");
  expect_failure(host({"vm", "add", "x"}), 2, "nothing to recognise the VM by; give --cid, --unix or --vmm-uid");
  expect_failure(host({"vm", "add", "x", "--cid", "9", "--uuid", ""}), 2, "--uuid: the value is empty");
  const auto relative = host({"vm", "add", "x", "--unix", "x.sock"});
  expect_failure(relative, 2, "unix_path: \"x.sock\": a Unix socket path starts with / or @");
  EXPECT_FALSE(contains(relative.errors, "vsock:")) << relative.errors;
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

TEST_F(HostCli, TheUidOfAVmmIsEnough) {
  const auto added = answer(host({"vm", "add", "fc1", "--vmm-uid", std::to_string(::getuid()), "--json"}));
  const std::string uds_path = added["vm"]["udsPath"];
  EXPECT_EQ(uds_path, daemon_.directory() / "run/vm/fc1/vsock.sock");
  EXPECT_EQ(test::run({program("hostcall"), "--address", "unix:" + uds_path + "_18499", "whoami", "-q"}).output,
            "fc1\n");
  EXPECT_TRUE(contains(host({"vm", "show", "fc1"}).output, uds_path));
  EXPECT_EQ(host({"vm", "remove", "fc1"}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(daemon_.directory() / "run/vm/fc1"));
}

// A start, hostcalld --check and hostcallctl config check say the same.
TEST_F(HostCli, EverythingThatKeepsAStartOutIsFoundBefore) {
  EXPECT_EQ(host({"config", "check"}).code, 0);
  const auto file = daemon_.config_file();
  const auto good = test::contents_of(file);
  const auto same = [&](const std::string& text) {
    const auto start = test::run({program("hostcalld"), "--config", file});
    const auto check = test::run({program("hostcalld"), "--config", file, "--check"});
    EXPECT_EQ(start.code, 1) << text;
    EXPECT_EQ(check.code, 1) << text;
    EXPECT_TRUE(contains(start.errors, text)) << start.errors;
    EXPECT_EQ(check.errors, start.errors);
    expect_failure(host({"config", "check"}), 1, text);
  };
  const auto change = [&](const std::string& from, const std::string& to) {
    auto text = good;
    text.replace(text.find(from), from.size(), to);
    daemon_.directory().write("hostcalld.json", text);
  };
  change("/vms.d\"", "/no/vms.d\"");
  same("vms_directory: ");
  change("/run\"", "/no/run\"");
  same("runtime_directory: ");
  change("{", R"({"admin_group": "no-such-group", )");
  same("admin_group: this host has no group \"no-such-group\"");
  daemon_.directory().write("hostcalld.json", good);
  const auto vm =
      daemon_.directory().write("vms.d/90.json", R"({"name": "x", "cid": 9, "limits": {"memory_bytes": 65536}})");
  same("90.json:1: VM \"x\": limit message_bytes (262144) is above memory_bytes (65536)");
  std::filesystem::permissions(vm, std::filesystem::perms(0666));
  same("chmod go-w " + vm);
}

// More than a page; both as text and as one document.
TEST_F(HostCli, LongListsAreWhole) {
  std::string text;
  for (int i = 0; i < 600; ++i)
    text += (text.empty() ? "{\"vms\": [{\"name\": \"v" : "}, {\"name\": \"v") + std::to_string(i) +
            "\", \"cid\": " + std::to_string(1000 + i);
  daemon_.directory().write("vms.d/60-many.json", text + "}]}");
  EXPECT_EQ(host({"policy", "reload"}).code, 0);
  EXPECT_EQ(answer(host({"vm", "list", "--json"}))["vms"].size(), 603U);
  EXPECT_EQ(lines_of(host({"vm", "list", "-q"}).output).size(), 603U);
  const auto lines = lines_of(host({"vm", "list"}).output);
  EXPECT_EQ(lines.size(), 604U) << "one heading";
  EXPECT_TRUE(contains(lines[1], "silent")) << lines[1];
  EXPECT_TRUE(contains(lines.back(), "silent"));
  EXPECT_TRUE(
      contains(host({"vm", "show", "v7"}).output, "missing: it has a CID, but hostcalld has no vsock listener"));
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
  v1::VmAddRequest add;
  add.mutable_record()->set_name("evil");
  add.mutable_record()->set_cid(666);
  const auto call =
      test::request_frame(3, {.service = "hostcall.v1.Admin", .method = "VmAdd"}, add.SerializeAsString());
  ASSERT_EQ(guest({"kv", "put", "/self/hello", "-"}, call).code, 0);
  const auto closed = [&](const std::string& redirections, const Words& words) {
    Words all{"/bin/sh", "-c", "exec \"$@\" " + redirections, "sh"};
    all.insert(all.end(), words.begin(), words.end());
    return test::run(all);
  };
  const auto show = host_words({"kv", "get", "/hello", "--vm", "web1"});
  EXPECT_EQ(test::run(show).output, call);
  const auto refused = closed(">&-", show);
  EXPECT_EQ(refused.code, 125);
  EXPECT_TRUE(contains(refused.errors, "standard output")) << refused.errors;
  for (const auto* redirections : {"<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"}) {
    EXPECT_EQ(closed(redirections, show).code, 125) << redirections;
    EXPECT_EQ(closed(redirections, guest_words({"kv", "get", "/self/hello"})).code, 125) << redirections;
    EXPECT_EQ(closed(redirections, {program("hostcalld"), "--config", daemon_.config_file(), "--check"}).code, 125);
    EXPECT_EQ(closed(redirections, {program("hostcalld"), "--version"}).code, 125);
    EXPECT_EQ(closed(redirections, {program("hostcallctl"), "--help"}).code, 125);
  }
  EXPECT_EQ(closed("2>&-", show).output, call) << "what is not needed may be closed";
  expect_failure(host({"vm", "show", "evil"}), 1, "evil");
}

// What has been done is never reported as not done.
TEST_F(HostCli, WhatIsDoneButCanNotBeToldIsSaidToBeDone) {
  const auto with_output = [&](const std::string& redirection, const Words& words) {
    Words all{"/bin/sh", "-c", "exec \"$@\" " + redirection, "sh"};
    all.insert(all.end(), words.begin(), words.end());
    return test::run(all);
  };
  int number = 0;
  for (const std::string redirection : {">&-", ">/dev/full"}) {
    const auto name = "vm" + std::to_string(++number);
    const Words changes[] = {host_words({"vm", "add", name, "--cid", std::to_string(100 + number)}),
                             host_words({"vm", "remove", name, "--json"}),
                             host_words({"policy", "reload"}),
                             host_words({"kv", "put", "/shared/x", "v"}),
                             host_words({"kv", "delete", "/shared/x"}),
                             guest_words({"kv", "put", "/self/x", "v"}),
                             guest_words({"kv", "txn", R"({"then": [{"delete": {"key": "/self/x"}}]})"})};
    for (const auto& words : changes)
      expect_failure(with_output(redirection, words), 125,
                     "the command succeeded, but its result could not be printed: ");
    EXPECT_EQ(host({"vm", "show", name}).code, 1) << "added and removed";
    for (const auto& words :
         {host_words({"vm", "list"}), host_words({"session", "list", "-q"}), host_words({"stats"}),
          host_words({"policy", "check"}), host_words({"doctor"}), host_words({"kv", "list", "/"}),
          guest_words({"whoami"}), guest_words({"ping", "-c", "1"}), guest_words({"info", "--json"}),
          guest_words({"services"}), guest_words({"doctor"}), guest_words({"kv", "list", "/self/", "-q"}),
          guest_words({"call", "hostcall.v1.Session/WhoAmI"}), Words{program("hostcall"), "--version"},
          Words{program("hostcall"), "kv", "put", "--help"}, Words{program("hostcallctl"), "--help"}})
      EXPECT_EQ(with_output(redirection, words).code, 125) << words.back() << redirection;
    EXPECT_EQ(with_output(redirection, {program("hostcalld"), "--version"}).code, 125) << redirection;
    EXPECT_EQ(with_output(redirection, {program("hostcalld"), "--config", daemon_.config_file(), "--check"}).code, 125);
    EXPECT_EQ(with_output(redirection, guest_words({"kv", "put", "/self/x", "v", "-q"})).code, 0)
        << "what prints nothing needs no output";
  }
}

TEST_F(HostCli, TheDaemonsUsageErrorsBearItsName) {
  for (const Words& wrong : {Words{"--nothing"},
                             {"--config"},
                             {"--config", ""},
                             {"--config="},
                             {"x"},
                             {"--check=maybe"},
                             {"--check=0"},
                             {"--check=false"},
                             {"--config", "/a", "--config", "/b"}}) {
    Words words{program("hostcalld")};
    words.insert(words.end(), wrong.begin(), wrong.end());
    const auto run = test::run(words);
    EXPECT_EQ(run.code, 2) << run.errors;
    EXPECT_TRUE(run.errors.starts_with("hostcalld: ")) << run.errors;
    EXPECT_TRUE(run.errors.ends_with("; see hostcalld --help\n")) << run.errors;
    EXPECT_EQ(lines_of(run.errors).size(), 1U) << run.errors;
    EXPECT_FALSE(contains(run.errors, "TEXT")) << run.errors;
  }
  EXPECT_EQ(test::run({program("hostcalld"), "--check=maybe"}).errors,
            "hostcalld: --check takes no value; see hostcalld --help\n");
  EXPECT_EQ(test::run({program("hostcalld"), "--config", "/a", "--config", "/b"}).errors,
            "hostcalld: --config is given more than once; see hostcalld --help\n");
}

TEST_F(HostCli, PolicyFilesAreCheckedWithoutUse) {
  EXPECT_EQ(host({"policy", "check"}).output, "1 file, 2 rules: no error\n");
  const auto good = daemon_.directory().write("good.json", R"({"rules": []})");
  EXPECT_EQ(answer(host({"policy", "check", good, daemon_.policy_file(), "--json"})),
            json({{"rules", 2}, {"files", 2}, {"warnings", json::array()}}));
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
  auto guests_text = denied.output;
  guests_text.replace(guests_text.find(daemon_.policy_file()), daemon_.policy_file().size(), "50-test.json");
  guests_text.replace(guests_text.find('\n'), 1, " (see hostcallctl policy explain)\n");
  EXPECT_TRUE(contains(guest_as("db1", {"info"}).errors, guests_text)) << denied.output;
  const auto verdict =
      json::parse(host({"policy", "explain", "--vm", "db1", "--call", "hostcall.v1.Host/Info", "--json"}).output);
  EXPECT_EQ(verdict["allowed"], false);
  EXPECT_EQ(verdict["line"], 2);
  expect_failure(host({"policy", "explain", "--vm", "nobody", "--call", "hostcall.v1.Host/Info"}), 1, "nobody");
}

TEST_F(HostCli, PolicyExplainSaysWhatIsMissingOrMalformed) {
  const auto explain = [&](const Words& more) {
    Words words{"policy", "explain", "--vm", "web1", "--call"};
    words.insert(words.end(), more.begin(), more.end());
    return host(words);
  };
  expect_failure(explain({"hostcall.v1.Store/Get"}), 2, "--resource");
  expect_failure(explain({"hostcall.v1.Store/Get", "--resource", "self/x"}), 2, "the key \"self/x\"");
  expect_failure(explain({"hostcall.v1.Host/Info", "--resource", "/self/x"}), 2, "has no resource");
  expect_failure(explain({"hostcall.v1.Host/Info", "--privileged-port"}), 2, "has no CID");
  for (const auto* key : {"self/x", "/vm/web1/x", "/self//x"}) {
    const auto get = guest_as("db1", {"kv", "get", key});
    expect_failure(get, 2, key);
    EXPECT_FALSE(contains(get.errors, "add a rule")) << get.errors;
  }
}

TEST_F(HostCli, PolicyCheckAndReloadWarnOfRulesThatCantMeanWhatTheySay) {
  const auto odd = daemon_.directory().write(
      "odd.json",
      "{\"rules\": [\n  {\"vms\": [\"web9\"], \"calls\": [\"hostcall.v1.Diagnostics/Ecko\"], \"action\": "
      "\"allow\"}]}");
  const auto checked = host({"policy", "check", odd});
  EXPECT_EQ(checked.code, 0);
  EXPECT_EQ(checked.output, "1 file, 1 rule: no error, 2 warnings\n");
  EXPECT_TRUE(contains(checked.errors, "odd.json:2: no method is named \"hostcall.v1.Diagnostics/Ecko\""))
      << checked.errors;
  EXPECT_TRUE(contains(checked.errors, "did you mean \"hostcall.v1.Diagnostics/Echo\"?")) << checked.errors;
  EXPECT_TRUE(contains(checked.errors, "did you mean \"web1\"?")) << checked.errors;
  const auto secret = daemon_.directory().write(
      "secret.json",
      R"({"rules": [{"vms": ["*"], "calls": ["*"], "resources": ["/vm/web1/secret/**"], "action": "deny"}]})");
  EXPECT_TRUE(contains(host({"policy", "check", secret}).errors, "no key of a VM matches \"/vm/web1/secret/**\""));
  daemon_.directory().write("policy.d/60-odd.json",
                            R"({"rules": [{"vms": ["tag:nosuch"], "calls": ["*"], "action": "deny"}]})");
  const auto reloaded = host({"policy", "reload"});
  EXPECT_EQ(reloaded.code, 0);
  EXPECT_TRUE(contains(reloaded.errors, "60-odd.json:1: no VM has the tag \"nosuch\"")) << reloaded.errors;
  EXPECT_TRUE(daemon_.process().wait_for_error_text("60-odd.json:1: no VM has the tag"));
  const auto started = test::run({program("hostcalld"), "--config", daemon_.config_file(), "--check"});
  EXPECT_EQ(started.code, 0);
  EXPECT_TRUE(contains(started.errors, "60-odd.json:1: no VM has the tag")) << started.errors;
  const auto config = host({"config", "check"});
  EXPECT_EQ(config.code, 0);
  EXPECT_TRUE(contains(config.errors, "60-odd.json:1: no VM has the tag")) << config.errors;
}

TEST_F(HostCli, AReloadWarnsOfWhatOnlyARestartChanges) {
  auto text = test::contents_of(daemon_.config_file());
  daemon_.directory().write("hostcalld.json", text.replace(text.find("[]"), 2, R"(["vsock::4711"])"));
  const auto reloaded = host({"policy", "reload"});
  EXPECT_EQ(reloaded.code, 0);
  EXPECT_TRUE(contains(reloaded.errors, "warning: listen stays [")) << reloaded.errors;
  EXPECT_TRUE(contains(reloaded.errors, "restart hostcalld")) << reloaded.errors;
}

TEST_F(HostCli, AReloadIsAllOrNothing) {
  daemon_.directory().write("policy.d/50-test.json", "{");
  expect_failure(host({"policy", "reload"}), 1, daemon_.policy_file());
  EXPECT_EQ(guest({"info"}).code, 0);
  daemon_.directory().write("policy.d/50-test.json",
                            R"({"rules": [{"vms": ["db1"], "calls": ["*"], "action": "allow"}]})");
  EXPECT_EQ(host({"policy", "reload"}).output, "3 VMs, 1 rule and 0 services in force\n");
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
  EXPECT_EQ(lines_of(host({"session", "list", "--vm", "@admin", "-q"}).output).size(), 1U) << "the one that asks";
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
  EXPECT_EQ(stats["store"], (json{{"state", "STATE_OK"}, {"text", ""}}));
  const auto text = host({"stats"}).output;
  EXPECT_TRUE(contains(text, "calls_denied")) << text;
  EXPECT_TRUE(text.ends_with("\nthe store takes writes\n")) << text;
}

TEST_F(HostCli, MetricsAreTextOrOpenMetrics) {
  guest_as("db1", {"info"});
  const auto text = host({"metrics"}).output;
  EXPECT_TRUE(contains(text, "# TYPE hostcall_calls_denied_total counter\nhostcall_calls_denied_total 1\n")) << text;
  EXPECT_TRUE(contains(text, R"(hostcall_calls_total{method="hostcall.v1.Host/Info",code="PERMISSION_DENIED"} 1)"));
  EXPECT_FALSE(contains(text, "# EOF"));
  const auto open = host({"metrics", "--openmetrics"}).output;
  EXPECT_TRUE(contains(open, "# TYPE hostcall_calls_denied counter\nhostcall_calls_denied_total 1\n")) << open;
  EXPECT_TRUE(open.ends_with("# EOF\n"));
  EXPECT_TRUE(contains(answer(host({"metrics", "--json"}))["text"], "hostcall_vms 3\n"));
}

TEST_F(HostCli, HostDoctorSeesDaemonAndListeners) {
  std::filesystem::remove(daemon_.vm_path("db1"));
  const auto run = host({"doctor", "--json"});
  EXPECT_EQ(run.code, 1);
  std::map<std::string, std::string> states;
  const auto report = json::parse(run.output);
  for (const auto& finding : report["findings"]) states[finding["check"]] = finding["state"];
  EXPECT_EQ(states["daemon"], "ok");
  EXPECT_EQ(states["store"], "ok");
  EXPECT_EQ(states["listener.web1"], "ok");
  EXPECT_EQ(states["listener.db1"], "fail");
  EXPECT_EQ(states.count("kernel") + states.count("kernel.CVE-2024-50264") + states.count("kernel.CVE-2025-21756"), 1U);
}

TEST_F(HostCli, HostDoctorFailsWithoutDaemon) {
  const auto run = test::run({program("hostcallctl"), "--socket", "/nonexistent/admin.sock", "doctor", "-q"});
  EXPECT_EQ(run.code, 1);
  EXPECT_TRUE(contains(run.output, "fail  daemon:")) << run.output;
}

TEST(HostCliWithoutGroup, OnlyRootMayUseTheSocket) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  const DaemonProcess daemon{{.config_json = R"("admin_group": "")"}};
  std::filesystem::permissions(daemon.directory().path(), std::filesystem::perms(0755));
  // Root's group may open the socket, but is not asked for.
  const auto run = test::run({"/usr/bin/setpriv", "--reuid=65534", "--clear-groups", program("hostcallctl"), "--socket",
                              daemon.admin_path(), "vm", "list"});
  EXPECT_EQ(run.code, 126);
  EXPECT_TRUE(run.errors.ends_with("may not administer hostcalld: become root\n")) << run.errors;
}

TEST_F(HostCli, AVmsSocketIsNotTheAdminSocket) {
  const Words place{"--socket", daemon_.vm_path("web1")};
  const auto text = daemon_.vm_path("web1") + " is not hostcalld's admin socket, or its hostcalld is older than this";
  expect_failure(test::run(words("hostcallctl", place, {"vm", "list"})), 127, text);
  expect_failure(test::run(words("hostcallctl", place, {"kv", "list", "/", "--vm", "web1"})), 127, text);
  const auto report = json::parse(test::run(words("hostcallctl", place, {"doctor", "--json"})).output);
  EXPECT_TRUE(contains(report["findings"][0]["text"], text)) << report;
  EXPECT_EQ(report["findings"][0]["advice"], "--socket or $HOSTCALL_ADMIN_SOCKET must name hostcalld's admin_socket");
}

TEST_F(HostCli, ADaemonThatHangsIsNotToBeStarted) {
  daemon_.process().signal(SIGSTOP);
  const auto report = json::parse(host({"doctor", "--json", "--timeout", "300ms"}).output);
  daemon_.process().signal(SIGCONT);
  const std::string advice = report["findings"][0]["advice"];
  EXPECT_TRUE(advice.starts_with("if it hangs: ")) << advice;
}

TEST_F(HostCli, AnUnprivilegedUserIsToldWhoMayUseTheSocket) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  // Readable programs and an unreadable socket directory: mkdtemp made it 0700.
  auto command = host_words({"vm", "list"});
  command.insert(command.begin(), {"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"});
  const auto refused = [&](const std::string& text) { expect_failure(test::run(command), 126, text); };
  refused("be root or a member of the group that hostcalld.json names as admin_group");
  // The group of the socket is that of the configuration; root's own stands for none.
  std::filesystem::permissions(daemon_.directory().path(), std::filesystem::perms(0755));
  refused("admin.sock: be root\n");
  constexpr gid_t kOther = 1;
  ASSERT_EQ(::chown(daemon_.admin_path().c_str(), 0, kOther), 0);
  const std::string name = ::getgrgid(kOther)->gr_name;
  refused("be root or a member of group " + name + " (usermod -aG " + name + " USER");
}

TEST_F(HostCli, HelpIsCompleteAndFitsATerminal) {
  for (const Words& verb : {Words{},
                            {"vm", "list"},
                            {"vm", "show"},
                            {"vm", "add"},
                            {"vm", "remove"},
                            {"config", "check"},
                            {"policy", "check"},
                            {"policy", "explain"},
                            {"policy", "reload"},
                            {"service", "list"},
                            {"service", "show"},
                            {"service", "check"},
                            {"run", "list"},
                            {"run", "kill"},
                            {"session", "list"},
                            {"session", "close"},
                            {"stats"},
                            {"metrics"},
                            {"doctor"}})
    expect_help("hostcallctl", verb);
}

TEST_F(HostCli, WithoutAVerbTheUsageIsWrong) {
  expect_failure(test::run({program("hostcallctl"), "vm"}), 2, "hostcallctl vm --help");
}

}  // namespace
}  // namespace hostcall::test
