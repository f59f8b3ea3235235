// The store by both command lines: what a guest writes the host sees, and the other way round, judged by output, error
// text and exit code.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

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
  EXPECT_EQ(kv({"put", "/self/a", "-q"}, bytes).output, "");
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
  EXPECT_EQ(kv({"txn", "-", "-q"}, R"({"then": [{"delete": {"key": "/self/n"}}]})").code, 0);
  EXPECT_EQ(kv({"get", "/self/n"}).code, 1);
}

TEST_F(KvCli, ListShowsPagesSorted) {
  for (const auto* key : {"/self/l/b", "/self/l/a", "/self/other"}) ASSERT_EQ(kv({"put", key, key}).code, 0);
  EXPECT_EQ(kv({"list", "/self/l/", "-q"}).output, "/self/l/a\n/self/l/b\n");
  EXPECT_EQ(kv({"list", "/self/l/", "-q", "--limit", "1"}).output, "/self/l/a\n");
  EXPECT_EQ(kv({"list", "/self/none/", "-q"}).output, "");
  const auto text = kv({"list", "/self/"}).output;
  for (const auto* part : {"KEY", "LIFETIME", "/self/other", "persistent"}) EXPECT_TRUE(contains(text, part)) << text;
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

TEST_F(KvCli, GetWaitsForAKeyThatSomebodyWrites) {
  Process waiting(host_words({"kv", "get", "/ready", "--vm", "web1", "--wait"}));
  EXPECT_FALSE(waiting.wait(std::chrono::milliseconds(200))) << waiting.errors();
  ASSERT_EQ(kv({"put", "/self/ready", "yes"}).code, 0);
  EXPECT_EQ(waiting.wait(), 0) << waiting.errors();
  EXPECT_EQ(waiting.output(), "yes");
  EXPECT_EQ(kv({"get", "/self/ready", "--wait"}).output, "yes") << "it is there already";
  expect_failure(kv({"get", "/self/never", "--wait", "--timeout", "300ms"}), 124, "DEADLINE_EXCEEDED");
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
  expect_failure(kv({"watch", "/self/watched/", "--from-revision", "1", "--exec", "exit 7"}), 125, "exit code 7");
}

TEST_F(KvCli, WatchEndsOnCtrlC) {
  auto watch = watching({});
  watch->signal(SIGINT);
  EXPECT_EQ(watch->wait(), 0) << watch->errors();
}

TEST_F(KvCli, ARemovedVmsKeysStayUnlessPurged) {
  ASSERT_EQ(host({"vm", "add", "tmp1", "--unix", daemon_.directory() / "tmp1.sock", "-q"}).code, 0);
  ASSERT_EQ(kv_as("tmp1", {"put", "/self/a", "1"}).code, 0);
  ASSERT_EQ(host({"vm", "remove", "tmp1"}).code, 0);
  EXPECT_EQ(host_kv({"get", "/a", "--vm", "tmp1"}).output, "1");
  EXPECT_EQ(host({"vm", "remove", "tmp1", "--purge"}).output,
            "tmp1 removed, 0 of its sessions ended, 1 keys deleted\n");
  EXPECT_EQ(host_kv({"get", "/a", "--vm", "tmp1"}).code, 1);
  expect_failure(host({"vm", "remove", "tmp1", "--purge"}), 1, "tmp1");
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
