// The store by both command lines: what a guest writes the host sees, and the other way round, judged by output, error
// text and exit code.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/integration/cli.h"
#include "tests/support/contents.h"

namespace hostcall::test {
namespace {

class KvCli : public Cli {
 protected:
  Finished kv(const Words& more, const std::string& input = {}) const { return guest(joined({"kv"}, more), input); }
  Finished kv_as(const std::string& vm, const Words& more) const { return guest_as(vm, joined({"kv"}, more)); }
  Finished host_kv(const Words& more) const { return host(joined({"kv"}, more)); }
  static Words joined(Words first, const Words& more) {
    first.insert(first.end(), more.begin(), more.end());
    return first;
  }
  // Open calls of web1.
  int streams() const { return answer(host({"vm", "show", "web1", "--json"}))["vm"]["streams"]; }
  // Whether it has ended, and its parent has not looked.
  static bool is_zombie(const std::string& pid) {
    std::ifstream stat("/proc/" + pid + "/stat");
    std::string number, name, state;
    stat >> number >> name >> state;
    return !stat || state == "Z";
  }
  // A watch that has begun: it has printed what was there.
  std::unique_ptr<Process> watching(const Words& more) const {
    EXPECT_EQ(kv({"put", "/self/watched/begun", "1"}).code, 0);
    auto watch = std::make_unique<Process>(guest_words(joined({"kv", "watch", "/self/watched/", "--snapshot"}, more)));
    wait_until([&] { return contains(watch->output(), "begun"); }, *watch);
    return watch;
  }
};

TEST_F(KvCli, PutThenGetGivesTheSameBytes) {
  const auto put = kv({"put", "/self/a", "hello"});
  EXPECT_EQ(put.code, 0) << put.errors;
  EXPECT_TRUE(put.output.starts_with("revision ")) << put.output;
  EXPECT_EQ(kv({"get", "/self/a"}).output, "hello");
  const std::string bytes("\0\xff\n%s\x1b[31m", 9);
  EXPECT_EQ(kv({"put", "/self/a", "-", "-q"}, bytes).output, "");
  EXPECT_EQ(kv({"get", "/self/a"}).output, bytes);
  EXPECT_EQ(kv({"put", "/self/a", "-"}, "x").code, 0);
  EXPECT_EQ(kv({"get", "/self/a"}).output, "x");
  const auto file = daemon_.directory().write("value", bytes);
  EXPECT_EQ(kv({"put", "/self/a", "--file", file}).code, 0);
  EXPECT_EQ(kv({"get", "/self/a"}).output, bytes);
  expect_failure(kv({"put", "/self/a", "x", "--file", file}), 2, "--file");
  expect_failure(kv({"put", "/self/a", "--file", "/nonexistent"}), 2, "/nonexistent");
  const auto item = answer(kv({"get", "/self/a", "--json"}))["item"];
  EXPECT_EQ(item["version"], "4");
  EXPECT_EQ(item["key"], "/self/a");
}

TEST_F(KvCli, NoSuchKeyIsExitCode1) {
  expect_failure(kv({"get", "/self/none"}), 1, "no such key: /self/none");
  expect_failure(kv({"delete", "/self/none"}), 1, "no such key: /self/none");
  EXPECT_EQ(kv({"put", "/self/a", "1"}).code, 0);
  EXPECT_EQ(kv({"delete", "/self/a"}).code, 0);
  expect_failure(kv({"get", "/self/a"}), 1, "no such key");
}

TEST_F(KvCli, IfRevisionIsACompareAndSwap) {
  EXPECT_EQ(kv({"put", "/self/lock", "me", "--if-revision", "0"}).code, 0);
  expect_failure(kv({"put", "/self/lock", "you", "--if-revision", "0"}), 1, "was not written: its revision is ");
  expect_failure(kv({"put", "/self/lock", "you", "--if-revision", "99999"}), 1, ", not 99999");
  expect_failure(kv({"put", "/self/none", "you", "--if-revision", "7"}), 1, "was not written: there is no such key");
  const std::string revision = answer(kv({"get", "/self/lock", "--json"}))["item"]["modRevision"];
  EXPECT_EQ(kv({"put", "/self/lock", "again", "--if-revision", revision}).code, 0);
  EXPECT_EQ(kv({"get", "/self/lock"}).output, "again");
}

TEST_F(KvCli, TxnDoesOneOrTheOther) {
  const Words txn = {"txn", R"({"compare": [{"key": "/self/n", "version": "0"}],
    "then": [{"put": {"key": "/self/n", "value": "MQ=="}}], "else": [{"get": {"key": "/self/n"}}]})",
                     "--json"};
  EXPECT_EQ(answer(kv(txn))["succeeded"], true);
  const auto second = kv(txn);
  EXPECT_EQ(second.code, 1);
  EXPECT_EQ(json::parse(second.output)["results"][0]["get"]["item"]["value"], "MQ==");
  expect_failure(kv({"txn", "{\"compare\": 1}"}), 2, "hostcall.v1.TxnRequest");
  expect_failure(kv({"txn", R"({"then": [{"put": {"key": "/self/n", "key": "/self/o"}}]})"}), 2,
                 "\"key\" is twice in one object");
  EXPECT_EQ(kv({"txn", "-", "-q"}, R"({"then": [{"delete": {"key": "/self/n"}}]})").code, 0);
  EXPECT_EQ(kv({"get", "/self/n"}).code, 1);
}

TEST_F(KvCli, ListShowsPagesSorted) {
  for (const auto* key : {"/self/l/b", "/self/l/a", "/self/other"}) ASSERT_EQ(kv({"put", key, key}).code, 0);
  EXPECT_EQ(kv({"list", "/self/l/", "-q"}).output, "/self/l/a\n/self/l/b\n");
  EXPECT_EQ(kv({"list", "/self/l/", "-q", "--limit", "1"}).output, "/self/l/a\n");
  EXPECT_EQ(kv({"list", "/self/l/", "-q", "--limit", "1", "--after", "/self/l/a"}).output, "/self/l/b\n");
  const auto first = kv({"list", "/self/l/", "--limit", "1"});
  EXPECT_EQ(first.code, 0);
  EXPECT_EQ(first.errors, "hostcall: note: there are more keys; --after the last one shows them\n");
  for (const Words& more : {Words{"--limit", "1", "-q"}, {"--limit", "1", "--json"}, {"--limit", "2"}})
    EXPECT_EQ(kv(joined({"list", "/self/l/"}, more)).errors, "");
  EXPECT_EQ(answer(kv({"list", "/self/l/", "--limit", "1", "--json"}))["continuation"], "/self/l/a");
  ASSERT_EQ(host_kv({"put", "/l/a", "v", "--vm", "db1"}).code, 0);
  EXPECT_EQ(host_kv({"list", "/l/", "--vm", "db1", "-q", "--after", "/l/0"}).output, "/vm/db1/l/a\n");
  EXPECT_EQ(host_kv({"list", "/l/", "--vm", "db1", "-q", "--after", "/l/a"}).output, "");
  EXPECT_EQ(kv({"list", "/self/none/", "-q"}).output, "");
  const auto text = kv({"list", "/self/"}).output;
  for (const auto* part : {"KEY", "LIFETIME", "/self/other", "persistent"}) EXPECT_TRUE(contains(text, part)) << text;
  EXPECT_TRUE(contains(text, " B ")) << text;
  const auto keys_only = kv({"list", "/self/", "--keys-only"}).output;
  EXPECT_TRUE(contains(keys_only, "/self/other")) << keys_only;
  EXPECT_FALSE(contains(keys_only, "SIZE") || contains(keys_only, " B ")) << keys_only;
  const auto all = answer(kv({"list", "/self/", "--json"}));
  EXPECT_EQ(all["items"].size(), 3U);
  EXPECT_EQ(all["continuation"], "");
}

TEST_F(KvCli, KeysOfOtherVmsCanNotBeNamed) {
  ASSERT_EQ(kv({"put", "/self/secret", "1"}).code, 0);
  EXPECT_EQ(kv_as("db1", {"get", "/self/secret"}).code, 1);
  EXPECT_EQ(kv_as("db1", {"list", "/self/", "-q"}).output, "");
  for (const auto* key : {"/vm/web1/secret", "/self/../web1/secret", "/self//secret", "/self/./secret", "self/secret",
                          "/self/secret/", "/", "/self", "/shared", "/other/x", "/self/\x01", "/self/\xff", ""})
    EXPECT_EQ(kv_as("db1", {"get", key}).code, 2) << key;
  for (const auto* prefix : {"/", "/vm/", "/vm/web1/", "/self/../", "//"})
    EXPECT_EQ(kv_as("db1", {"list", prefix}).code, 2) << prefix;
}

TEST_F(KvCli, TheHostSeesAllAndNamesKeysByVm) {
  ASSERT_EQ(kv({"put", "/self/state", "up"}).code, 0);
  EXPECT_EQ(host_kv({"get", "/state", "--vm", "web1"}).output, "up");
  EXPECT_EQ(host_kv({"get", "/vm/web1/state"}).output, "up");
  EXPECT_EQ(host_kv({"put", "/config", "c", "--vm", "db1"}).code, 0);
  EXPECT_EQ(kv_as("db1", {"get", "/self/config"}).output, "c");
  EXPECT_EQ(host_kv({"put", "/motd", "hi", "--shared"}).code, 0);
  EXPECT_EQ(kv({"get", "/shared/motd"}).output, "hi");
  EXPECT_EQ(host_kv({"list", "/", "-q"}).output, "/shared/motd\n/vm/db1/config\n/vm/web1/state\n");
  EXPECT_EQ(host_kv({"list", "/", "--vm", "web1", "-q"}).output, "/vm/web1/state\n");
  expect_failure(host_kv({"get", "/a", "--vm", "web1", "--shared"}), 2, "--shared");
  expect_failure(host_kv({"get", "a", "--vm", "web1"}), 2, "keys begin with");
  EXPECT_EQ(host_kv({"txn", "--vm", "web1", "-q", R"({"then": [{"delete": {"key": "/state"}}]})"}).code, 0);
  EXPECT_EQ(kv({"get", "/self/state"}).code, 1);
}

TEST_F(KvCli, AKeyThatSaysWhoseItIsNeedsNoOption) {
  expect_failure(host_kv({"put", "/self/x", "v", "--vm", "web1"}), 2,
                 "with --vm, \"/self/x\" would be \"/vm/web1/self/x\"; leave out the option or the key's first part");
  for (const auto* key : {"/shared/x", "/vm/web1/x", "/self", "/vm/"}) {
    expect_failure(host_kv({"list", key, "--vm", "web1"}), 2, "with --vm, ");
    expect_failure(host_kv({"list", key, "--shared"}), 2, "with --shared, ");
  }
  expect_failure(host_kv({"txn", "--vm", "web1", R"({"then": [{"delete": {"key": "/self/x"}}]})"}), 2, "with --vm, ");
  EXPECT_EQ(host_kv({"put", "/vm/web1/self/x", "v"}).code, 0) << "in full, every key can be named";
  EXPECT_EQ(host_kv({"put", "/selfish", "v", "--vm", "web1"}).code, 0);
}

TEST_F(KvCli, AVmThatIsNotRegisteredIsWarnedOf) {
  const auto expect_warning = [](const Finished& run, int code) {
    EXPECT_EQ(run.code, code) << run.errors;
    EXPECT_TRUE(run.errors.starts_with("hostcallctl: warning: no VM is named \"nope\" at present\n")) << run.errors;
  };
  expect_warning(host_kv({"put", "/config", "v", "--vm", "nope"}), 0);
  expect_warning(host_kv({"put", "/config", "w", "--vm", "nope", "--if-revision", "99"}), 1);
  EXPECT_EQ(host_kv({"get", "/vm/nope/config"}).output, "v");
  expect_warning(host_kv({"get", "/config", "--vm", "nope"}), 0);
  expect_warning(host_kv({"list", "/", "--vm", "nope"}), 0);
  expect_warning(host_kv({"get", "/ready", "--vm", "nope", "--wait", "--timeout", "300ms"}), 124);
  expect_warning(host_kv({"watch", "/ready", "--vm", "nope", "--timeout", "300ms"}), 124);
  expect_warning(host_kv({"txn", "--vm", "nope", "-q", R"({"then": [{"get": {"key": "/config"}}]})"}), 0);
  expect_warning(host_kv({"delete", "/config", "--vm", "nope"}), 0);
  EXPECT_EQ(host_kv({"put", "/config", "v", "--vm", "web1"}).errors, "");
}

TEST_F(KvCli, GetWaitsForAKeyThatSomebodyWrites) {
  Process waiting(host_words({"kv", "get", "/ready", "--vm", "web1", "--wait"}));
  EXPECT_FALSE(waiting.wait(std::chrono::milliseconds(200))) << waiting.errors();
  ASSERT_EQ(kv({"put", "/self/ready", "yes"}).code, 0);
  EXPECT_EQ(waiting.wait(), 0) << waiting.errors();
  EXPECT_EQ(waiting.output(), "yes");
  EXPECT_EQ(kv({"get", "/self/ready", "--wait"}).output, "yes") << "it is there already";
  expect_failure(kv({"get", "/self/never", "--wait", "--timeout", "1"}), 124,
                 "/self/never was not written within 1s (--timeout)");
  expect_failure(kv({"watch", "/self/never", "--timeout", "300ms"}), 124, "no change within 300ms (--timeout)");
  const auto watch = kv({"watch", "/self/ready", "--snapshot", "--timeout", "300ms"});
  EXPECT_EQ(watch.code, 124);
  EXPECT_TRUE(contains(watch.errors, "no further change within 300ms (--timeout)")) << watch.errors;
}

// Whoever reads may read again.
TEST_F(KvCli, TheOutcomeOfAReadIsNeverUnknown) {
  daemon_.process().signal(SIGSTOP);
  for (const Words& words :
       {Words{"get", "/self/a"}, {"list", "/self/"}, {"watch", "/self/"}, {"get", "/self/a", "--wait"}}) {
    const auto late = kv(joined(words, {"--timeout", "300ms"}));
    expect_failure(late, 124, "");
    EXPECT_FALSE(contains(late.errors, "unknown")) << words[0] << late.errors;
  }
  daemon_.process().signal(SIGCONT);
}

TEST_F(KvCli, WatchPrintsChangesUntilItHasEnough) {
  auto watch = watching({"--count", "4"});
  ASSERT_EQ(kv({"put", "/self/watched/a", "12345"}).code, 0);
  ASSERT_EQ(kv({"put", "/self/elsewhere", "1"}).code, 0);
  ASSERT_EQ(kv({"delete", "/self/watched/a"}).code, 0);
  ASSERT_EQ(kv({"put", "/self/watched/b", ""}).code, 0);
  EXPECT_EQ(watch->wait(), 0) << watch->errors();
  const auto lines = lines_of(watch->output());
  ASSERT_EQ(lines.size(), 4U) << watch->output();
  EXPECT_TRUE(lines[1].ends_with(" put /self/watched/a 5 B")) << lines[1];
  EXPECT_TRUE(lines[2].ends_with(" delete /self/watched/a")) << lines[2];
  EXPECT_TRUE(lines[3].ends_with(" put /self/watched/b 0 B")) << lines[3];
}

TEST_F(KvCli, WatchTellsMessagesAsJson) {
  auto watch = watching({"--json", "--previous", "--count", "3"});
  ASSERT_EQ(kv({"txn", "-q", R"({"then": [{"put": {"key": "/self/watched/a", "value": "YQ=="}},
    {"put": {"key": "/self/watched/begun", "value": "Yg=="}}]})"})
                .code,
            0);
  EXPECT_EQ(watch->wait(), 0) << watch->errors();
  const auto lines = lines_of(watch->output());
  ASSERT_EQ(lines.size(), 2U) << watch->output();
  const auto message = json::parse(lines[1]);
  ASSERT_EQ(message["events"].size(), 2U) << "all changes of one revision are one message";
  EXPECT_EQ(message["events"][0]["item"]["key"], "/self/watched/a");
  EXPECT_EQ(message["events"][1]["previous"]["value"], "MQ==");
}

TEST_F(KvCli, WatchGoesOnOverARestartOfTheHost) {
  auto watch = watching({"--count", "3"});
  ASSERT_EQ(kv({"put", "/self/watched/a", "1"}).code, 0);
  wait_until([&] { return contains(watch->output(), "/self/watched/a"); }, *watch);
  EXPECT_EQ(daemon_.stop(), 0) << "a watch does not hold the daemon up";
  daemon_.restart();
  ASSERT_EQ(kv({"put", "/self/watched/b", "1"}).code, 0);
  EXPECT_EQ(watch->wait(), 0) << watch->errors();
  EXPECT_EQ(lines_of(watch->output()).size(), 3U) << watch->output();
}

TEST_F(KvCli, WatchRunsACommandForEachChange) {
  const std::string out = daemon_.directory() / "out";
  const auto command = "{ cat; echo \" $HOSTCALL_KIND $HOSTCALL_KEY\"; } >> " + out;
  ASSERT_EQ(kv({"put", "/self/watched/x", "one"}).code, 0);
  Process watch(guest_words({"kv", "watch", "/self/watched/", "--snapshot", "--count", "2", "--exec", command}));
  wait_until([&] { return std::filesystem::exists(out); }, watch);
  ASSERT_EQ(kv({"delete", "/self/watched/x"}).code, 0);
  EXPECT_EQ(watch.wait(), 0) << watch.errors();
  EXPECT_EQ(test::contents_of(out), "one put /self/watched/x\n delete /self/watched/x\n");
  expect_failure(kv({"watch", "/self/elsewhere", "--from-revision", "1", "--exec", "true", "--snapshot"}), 2,
                 "--from-revision");
  expect_failure(kv({"watch", "/self/watched/", "--exec", "true", "--json"}), 2, "--exec and --json are both given");
  expect_failure(kv({"watch", "/self/watched/", "--from-revision", "1", "--exec", "exit 7"}), 125, "exit code 7");
}

// Dies of the signal, as whoever waits for it expects.
TEST_F(KvCli, WhatWaitsForAKeyDiesOfASignal) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    ::signal(number, SIG_DFL);  // nohup(1) may have started the tests
    auto watch = watching({});
    watch->signal(number);
    EXPECT_EQ(watch->wait(), 128 + number);
    EXPECT_EQ(watch->errors(), "");
    Process get(guest_words({"kv", "get", "/self/never", "--wait"}));
    wait_until([&] { return streams() == 1; }, get);
    get.signal(number);
    EXPECT_EQ(get.wait(), 128 + number);
    EXPECT_EQ(get.output() + get.errors(), "");
  }
}

TEST_F(KvCli, ASignalEndsTheCommandOfAWatchWithAllThatItStarted) {
  ASSERT_EQ(kv({"put", "/self/watched/x", "1"}).code, 0);
  const std::string pids = daemon_.directory() / "pids";
  const auto begin = [&](const std::string& command, const Words& more) {
    std::filesystem::remove(pids);
    auto watch = std::make_unique<Process>(
        guest_words(joined({"kv", "watch", "/self/watched/", "--snapshot", "--exec", command}, more)));
    wait_until([&] { return lines_of(std::filesystem::exists(pids) ? contents_of(pids) : "").size() == 2; }, *watch);
    return watch;
  };
  const auto expect_ended = [&] {
    for (const auto& pid : lines_of(contents_of(pids)))
      EXPECT_TRUE(::kill(std::stoi(pid), 0) != 0 || is_zombie(pid)) << pid << " still runs";
  };
  const auto both = "sleep 1000 & { echo $$; echo $!; } > " + pids + "; wait";
  for (const int number : {SIGINT, SIGTERM}) {
    auto watch = begin(both, {});
    watch->signal(number);
    EXPECT_EQ(watch->wait(), 128 + number) << watch->errors();
    expect_ended();
  }
  auto stubborn = begin("trap '' INT; " + both, {});
  stubborn->signal(SIGINT);
  stubborn->signal(SIGINT);
  EXPECT_EQ(stubborn->wait(), 128 + SIGINT) << stubborn->errors();
  expect_ended();
  auto late = begin(both, {"--timeout", "6s"});
  EXPECT_EQ(late->wait(), 124) << late->errors();
  EXPECT_TRUE(contains(late->errors(), "deadline")) << late->errors();
  expect_ended();
}

TEST_F(KvCli, WhatWaitsForAKeyEndsWithItsReader) {
  ASSERT_EQ(kv({"put", "/self/watched/x", "1"}).code, 0);
  const auto first_line_of = [&](const Words& more) {
    Words all{"/bin/sh", "-c", "\"$@\" | head -n 1; echo end", "sh"};
    const auto command = guest_words(more);
    all.insert(all.end(), command.begin(), command.end());
    return test::run(all);
  };
  const auto watch = first_line_of({"kv", "watch", "/self/watched/", "--snapshot"});
  EXPECT_TRUE(watch.output.ends_with(" put /self/watched/x 1 B\nend\n")) << watch.output;
  EXPECT_EQ(watch.errors, "");
  const auto exec = first_line_of({"kv", "watch", "/self/watched/", "--snapshot", "--exec", "echo one"});
  EXPECT_EQ(exec.output + exec.errors, "one\nend\n");
  const auto call = first_line_of(
      {"call", "hostcall.v1.Store/Watch", R"({"prefix": "/self/watched/", "snapshot": true})", "--timeout", "1h"});
  EXPECT_TRUE(call.output.ends_with("\nend\n")) << call.output;
  Words get{"/bin/sh", "-c", "\"$@\" | true", "sh"};
  const auto words = guest_words({"kv", "get", "/self/never", "--wait", "--timeout", "1h"});
  get.insert(get.end(), words.begin(), words.end());
  EXPECT_EQ(test::run(get).code, 0);
}

TEST_F(KvCli, NothingIsWrittenThatWasNotGiven) {
  for (const Words& more : {Words{},
                            {"--idempotency-key=k"},
                            {"--idempotency-key", "v"},
                            {"--file", ""},
                            {"--file="},
                            {"--file=", "v"},
                            {"-f", "", "v"},
                            {"--idempotency-key=", "v"},
                            {"--lifetime=", "v"},
                            {"--if-revision=", "v"},
                            {"--timeout=", "v"}}) {
    const auto run = kv(joined({"put", "/self/x"}, more), "input");
    expect_failure(run, 2, "");
    expect_failure(kv({"get", "/self/x"}), 1, "no such key");
  }
  expect_failure(kv({"put", "/self/x"}, "input"), 2, "VALUE is missing; give it, or - to read standard input");
  expect_failure(kv({"put"}), 2, "KEY is missing");
  for (const auto* verb : {"put", "delete"})
    expect_failure(kv({verb, "/self/x", "--idempotency-key", ""}), 2, "--idempotency-key: the value is empty");
  ASSERT_EQ(kv({"put", "/self/x", ""}).code, 0);
  EXPECT_EQ(kv({"get", "/self/x"}).output, "");
  ASSERT_EQ(kv({"put", "/self/x", "-"}).code, 0);
  ASSERT_EQ(kv({"put", "--", "/self/x", "-v"}).code, 0);
  EXPECT_EQ(kv({"get", "/self/x"}).output, "-v");
  expect_failure(host_kv({"put", "/shared/x", "v", "--vm="}), 2, "--vm: the value is empty");
  expect_failure(host_kv({"list", "/", "--vm", ""}), 2, "--vm: the value is empty");
  expect_failure(kv({"watch", "/self/", "--exec="}), 2, "--exec: the value is empty");
}

TEST_F(KvCli, InputIsReadWithinTheDeadlineAndTheBound) {
  const std::string fifo = daemon_.directory() / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const Words soon{"--timeout", "300ms"};
  expect_failure(kv(joined({"put", "/self/x", "--file", fifo}, soon)), 124, fifo + " did not end before the deadline");
  expect_failure(kv({"put", "/self/x", "--file", "/dev/zero"}), 2,
                 "/dev/zero is larger than the maximum of 4194304 bytes");
  const auto with_input = [&](const std::string& redirection, const Words& command) {
    Words all{"/bin/sh", "-c", "exec \"$@\" " + redirection, "sh"};
    return test::run(joined(all, command));
  };
  // Opened for both, the FIFO never ends.
  const auto open = "<>" + fifo;
  for (const Words& verb : {Words{"kv", "put", "/self/x", "-"}, {"kv", "txn"}, {"kv", "txn", "-"}}) {
    expect_failure(with_input(open, guest_words(joined(verb, soon))), 124, "standard input did not end");
    auto below = joined(joined(verb, {"--vm", "web1"}), soon);
    std::ranges::replace(below, "/self/x", "/x");
    expect_failure(with_input(open, host_words(below)), 124, "standard input");
    expect_failure(with_input("</dev/zero", guest_words(verb)), 2, "standard input is larger than the maximum of ");
    EXPECT_EQ(with_input("<" + daemon_.directory().path(), guest_words(verb)).code, 125) << "a directory";
    EXPECT_EQ(with_input("<&-", guest_words(verb)).code, 125);
  }
  const Words echo{"call", "hostcall.v1.Diagnostics/Echo", "-"}, sink{"call", "hostcall.v1.Diagnostics/Sink"};
  expect_failure(with_input(open, guest_words(joined(echo, soon))), 124, "standard input did not end");
  expect_failure(with_input("</dev/zero", guest_words(echo)), 2, "standard input is larger than the maximum of ");
  expect_failure(with_input(open, guest_words(joined(sink, soon))), 124, "DEADLINE_EXCEEDED");
  expect_failure(with_input("</dev/zero", guest_words(sink)), 2, "standard input is larger than the maximum of ");
  expect_failure(host({"policy", "check", fifo, "--timeout", "300ms"}), 124, fifo + " did not end");
  expect_failure(host({"policy", "check", "/dev/zero"}), 2, "/dev/zero is larger than the maximum of ");
  expect_failure(host({"policy", "check", ""}), 2, "the name of a file is empty");
  EXPECT_EQ(kv({"get", "/self/x"}).code, 1);
}

// What would drive a terminal, or can not be seen, in every place where it is shown.
TEST_F(KvCli, KeysAreEscapedForPeopleAndWholeForPrograms) {
  const std::string hidden = "a\u202Eb\u200B\uFEFF\u2028\u2066\u061C\U000E0041\\x";
  const std::string shown =
      R"(/self/a\xe2\x80\xaeb\xe2\x80\x8b\xef\xbb\xbf\xe2\x80\xa8\xe2\x81\xa6\xd8\x9c\xf3\xa0\x81\x81\\x)";
  const auto key = "/self/" + hidden;
  expect_failure(kv({"get", key}), 1, "no such key: " + shown);
  ASSERT_EQ(kv({"put", key, "v"}).code, 0);
  EXPECT_EQ(kv({"list", "/self/", "-q"}).output, key + "\n");
  EXPECT_EQ(kv({"get", lines_of(kv({"list", "/self/", "-q"}).output)[0]}).output, "v");
  EXPECT_TRUE(contains(kv({"list", "/self/"}).output, "\n" + shown + " ")) << kv({"list", "/self/"}).output;
  EXPECT_TRUE(contains(kv({"watch", "/self/", "--snapshot", "-n", "1"}).output, " put " + shown + " 1 B"));
  const auto listed = kv({"list", "/self/", "--json"}).output;
  EXPECT_EQ(json::parse(listed)["items"][0]["key"], key);
  for (const auto* part : {"\u202E", "\u200B", "\uFEFF", "\u2028", "\u2066", "\u061C", "\U000E0041"})
    EXPECT_FALSE(contains(listed, part)) << listed;
  expect_failure(kv({"put", key, "v", "--if-revision", "9999"}), 1, shown + " was not written");
  expect_failure(kv({"watch", "/self/", "--snapshot", "--exec", "exit 3"}), 125, "failed for " + shown);
}

TEST_F(KvCli, ATerminalGetsRawValuesOnlyIfAsked) {
  const auto on_terminal = [&](const Words& more) {
    std::string line;
    for (const auto& word : guest_words(joined({"kv"}, more))) line += "'" + word + "' ";
    return test::run({"script", "-qec", line, "/dev/null"}).output;
  };
  const std::string key = "/self/\u202Ex", value = "\x1b[31mred\u202E\\\tx\ny";
  ASSERT_EQ(kv({"put", key, value}).code, 0);
  EXPECT_EQ(kv({"get", key}).output, value);
  EXPECT_EQ(kv({"get", key, "--raw"}).output, value);
  EXPECT_EQ(on_terminal({"get", key}), "\\x1b[31mred\\xe2\\x80\\xae\\\\\tx\r\ny") << "the terminal adds \\r";
  EXPECT_EQ(on_terminal({"get", key, "--raw"}), "\x1b[31mred\u202E\\\tx\r\ny");
  EXPECT_EQ(on_terminal({"list", "/self/", "-q"}), "/self/\\xe2\\x80\\xaex\r\n");
}

TEST_F(KvCli, ATransactionSaysWhatItRead) {
  expect_failure(kv({"txn"}), 2, "the JSON of standard input is not a hostcall.v1.TxnRequest: it is empty");
  expect_failure(kv({"txn", "-"}, "\n\n"), 2, "it is empty");
  expect_failure(kv({"txn", ""}), 2, "the JSON is not a hostcall.v1.TxnRequest: it is empty");
  const auto raw = kv({"txn", "{\"then\" \"\xff\"}"});
  expect_failure(raw, 2, "hostcall.v1.TxnRequest");
  EXPECT_FALSE(contains(raw.errors, "\xff")) << raw.errors;
}

TEST_F(KvCli, ALifetimeThatEndsWithTheCommandIsWarnedOf) {
  for (const Words& more :
       {Words{"put", "/self/s", "v", "--lifetime", "session"},
        {"txn", "-q", R"({"then": [{"put": {"key": "/self/s", "lifetime": "LIFETIME_SESSION"}}]})"}}) {
    const auto run = kv(more);
    EXPECT_EQ(run.code, 0) << run.errors;
    EXPECT_TRUE(contains(run.errors, "hostcall: warning: ")) << run.errors;
    EXPECT_TRUE(contains(run.errors, "--lifetime boot")) << run.errors;
  }
  EXPECT_EQ(kv({"put", "/self/b", "v"}).errors, "");
}

TEST_F(KvCli, OnlyAVmsKeysEndWithABoot) {
  expect_failure(host_kv({"put", "/shared/x", "v", "--lifetime", "boot"}), 2, "\"boot\" is not persistent or session");
  EXPECT_FALSE(contains(test::run({program("hostcallctl"), "kv", "put", "--help"}).output, "boot"));
  EXPECT_TRUE(contains(test::run({program("hostcall"), "kv", "put", "--help"}).output, "boot: when this VM boots"));
  const auto session = host_kv({"put", "/shared/x", "v", "--lifetime", "session"});
  EXPECT_EQ(session.code, 0) << session.errors;
  EXPECT_TRUE(contains(session.errors, "warning: ")) << session.errors;
  EXPECT_FALSE(contains(session.errors, "boot")) << session.errors;
}

TEST_F(KvCli, AKeyThatIsNotUtf8IsRefusedAsSuch) {
  for (const auto& run :
       {kv({"get", "/self/\xff"}), kv({"list", "/self/\xff/"}), host_kv({"put", "/a\xff", "v", "--shared"})})
    expect_failure(run, 2, "is not a key: keys are UTF-8");
}

TEST_F(KvCli, ARemovedVmsKeysStayUnlessPurged) {
  ASSERT_EQ(host({"vm", "add", "tmp1", "--unix", daemon_.directory() / "tmp1.sock", "-q"}).code, 0);
  ASSERT_EQ(kv_as("tmp1", {"put", "/self/a", "1"}).code, 0);
  ASSERT_EQ(host({"vm", "remove", "tmp1"}).code, 0);
  EXPECT_EQ(host_kv({"get", "/a", "--vm", "tmp1"}).output, "1");
  EXPECT_EQ(host({"vm", "remove", "tmp1", "--purge"}).output,
            "no VM is named tmp1; deleted 1 key left by an earlier VM of that name\n");
  EXPECT_EQ(host_kv({"get", "/a", "--vm", "tmp1"}).code, 1);
  expect_failure(host({"vm", "remove", "tmp1", "--purge"}), 1, "tmp1");
  ASSERT_EQ(host({"vm", "add", "tmp1", "--cid", "99", "-q"}).code, 0);
  EXPECT_EQ(host({"vm", "remove", "tmp1", "--purge"}).output,
            "tmp1 removed, 0 of its sessions ended, 0 keys deleted\n");
}

TEST_F(KvCli, WhatIsWrittenOutlivesTheDaemon) {
  ASSERT_EQ(kv({"put", "/self/a", "kept"}).code, 0);
  ASSERT_EQ(kv({"put", "/self/s", "gone", "--lifetime", "session"}).code, 0);
  daemon_.process().signal(SIGKILL);
  EXPECT_TRUE(daemon_.process().wait());
  daemon_.restart();
  EXPECT_EQ(kv({"get", "/self/a"}).output, "kept");
  EXPECT_EQ(kv({"get", "/self/s"}).code, 1);
  expect_failure(kv({"put", "/self/a", "x", "--lifetime", "week"}), 2, "week");
}

TEST_F(KvCli, ARepetitionWithItsIdempotencyKeyIsNotDoneTwice) {
  const Words put = {"put", "/self/a", "1", "--idempotency-key", "k1"};
  const auto first = kv(put);
  ASSERT_EQ(first.code, 0) << first.errors;
  ASSERT_EQ(kv({"put", "/self/a", "2"}).code, 0);
  daemon_.process().signal(SIGKILL);
  EXPECT_TRUE(daemon_.process().wait());
  daemon_.restart();
  EXPECT_EQ(kv(put).output, first.output);
  EXPECT_EQ(kv({"get", "/self/a"}).output, "2");
  expect_failure(kv({"put", "/self/a", "3", "--idempotency-key", "k1"}), 2, "stands for another request");
}

TEST_F(KvCli, HelpIsCompleteAndFitsATerminal) {
  for (const auto* verb : {"get", "put", "delete", "list", "watch", "txn"})
    for (const auto* name : {"hostcall", "hostcallctl"}) expect_help(name, {"kv", verb});
}

}  // namespace
}  // namespace hostcall::test
