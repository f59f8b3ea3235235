// What the operator sees of a real hostcalld: events, status, top, changes of VMs, and copies of the store, by
// hostcallctl's output and exit codes.
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

namespace fs = std::filesystem;

class OperatorCli : public Cli {
 protected:
  std::string path(const std::string& name) const { return daemon_.directory() / name; }
  Words restore_words(const std::string& file, const Words& more = {}) const {
    Words words =
        host_words({"store", "restore", file, "--config", daemon_.config_file(), "--hostcalld", program("hostcalld")});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  json events(const Words& more) const {
    auto words = Words{"events", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const auto run = host(words);
    EXPECT_EQ(run.code, 0) << run.errors;
    auto all = json::array();
    for (const auto& line : lines_of(run.output)) all.push_back(json::parse(line));
    return all;
  }
  void add_app() const { EXPECT_EQ(host({"vm", "add", "app1", "--unix", path("app1.sock"), "--tag", "old"}).code, 0); }
};

TEST_F(OperatorCli, VerbsHaveHelp) {
  for (const auto& verb : std::vector<Words>{
           {"events"}, {"status"}, {"top"}, {"vm", "set"}, {"vm", "list"}, {"store", "backup"}, {"store", "restore"}})
    expect_help("hostcallctl", verb);
}

TEST_F(OperatorCli, EventsTellWhoDidWhat) {
  add_app();
  EXPECT_EQ(host({"vm", "add", "app1", "--cid", "99"}).code, 1);
  EXPECT_EQ(guest_as("db1", {"info"}).code, 126);
  const auto admin = events({"--kind", "admin"});
  ASSERT_EQ(admin.size(), 2U);
  EXPECT_EQ(admin[0]["uid"].is_null() ? 0U : admin[0]["uid"].get<unsigned>(), ::getuid());
  EXPECT_TRUE(contains(admin[0]["text"], "vm add \"app1\": done")) << admin;
  EXPECT_TRUE(contains(admin[1]["text"], "vm add \"app1\": failed: ")) << admin;
  EXPECT_EQ(events({"--kind", "denied", "--vm", "db1"}).size(), 1U);
  EXPECT_EQ(events({"--kind", "denied", "--vm", "web1"}).size(), 0U);
  EXPECT_GE(events({"--kind", "connected"}).size(), 2U);
  const auto text = host({"events", "--kind", "admin", "-n", "1"});
  ASSERT_EQ(lines_of(text.output).size(), 1U);
  EXPECT_TRUE(contains(text.output, " UTC  admin ")) << text.output;
  expect_failure(host({"events", "--kind", "nonsense"}), 2, "\"nonsense\" is no kind of events; there are started, ");
  expect_failure(host({"events", "--new"}), 2, "--follow");
}

TEST_F(OperatorCli, EventsAreFollowedOverARestart) {
  Process follow(host_words({"events", "-f", "--kind", "vm-added", "--kind", "started", "--kind", "stopping"}));
  ASSERT_TRUE(follow.wait_until([&] { return contains(follow.output(), " started "); })) << follow.errors();
  add_app();
  ASSERT_TRUE(follow.wait_until([&] { return contains(follow.output(), "\"app1\" registered"); })) << follow.errors();
  EXPECT_EQ(daemon_.stop(), 0);
  daemon_.restart();
  const auto twice = [&] {
    const auto lines = lines_of(follow.output());
    return std::ranges::count_if(lines, [](const auto& line) { return contains(line, " started "); }) == 2;
  };
  EXPECT_TRUE(follow.wait_until(twice)) << follow.output() << follow.errors();
  follow.signal(SIGINT);
  EXPECT_EQ(follow.wait(), 128 + SIGINT);
}

TEST_F(OperatorCli, StatusShowsWhatIsMissing) {
  EXPECT_EQ(host({"vm", "add", "cid1", "--cid", "77"}).code, 0);
  const auto status = host({"status"});
  EXPECT_EQ(status.code, 0) << status.errors;
  EXPECT_TRUE(contains(status.output, "missing: 1 VM with a CID can't call: nothing listens on vsock; start"))
      << status.output;
  EXPECT_TRUE(contains(status.output, "none since the start")) << status.output;
  const auto all = answer(host({"status", "--json"}));
  EXPECT_EQ(all["vms"], 4);
  EXPECT_EQ(all["missing"].size(), 1U);
  std::ofstream(daemon_.policy_file()) << "{";
  EXPECT_NE(host({"policy", "reload"}).code, 0);
  EXPECT_TRUE(contains(answer(host({"status", "--json"}))["reload"]["failure"], "50-test.json:1"));
}

TEST_F(OperatorCli, TheLogHasTimeAndLevel) {
  ASSERT_TRUE(daemon_.process().wait_for_error_text("started"));
  const auto lines = lines_of(daemon_.process().errors());
  EXPECT_TRUE(std::ranges::any_of(lines, [](const auto& line) {
    return line.starts_with("20") && contains(line, " UTC info: hostcalld ");
  })) << daemon_.process().errors();
}

TEST_F(OperatorCli, TopPrintsOnceOrAsOftenAsAsked) {
  EXPECT_EQ(guest({"ping", "-c", "3"}).code, 0);
  const auto once = host({"top"});
  EXPECT_EQ(once.code, 0) << once.errors;
  EXPECT_TRUE(contains(once.output, "VM ")) << once.output;
  EXPECT_TRUE(contains(once.output, "web1")) << once.output;
  const auto twice = host({"top", "--json", "--count", "2", "--interval", "100ms", "--filter", "web"});
  ASSERT_EQ(lines_of(twice.output).size(), 2U) << twice.errors;
  for (const auto& line : lines_of(twice.output)) {
    const auto vms = json::parse(line)["vms"];
    ASSERT_EQ(vms.size(), 1U);
    EXPECT_EQ(vms[0]["vm"], "web1");
  }
  expect_failure(host({"top", "--sort", "nonsense"}), 2, "sort by name, connections");
}

TEST_F(OperatorCli, VmListFits80ColumnsAndShowsTagsAndState) {
  const std::string longest(64, 'n');
  EXPECT_EQ(host({"vm", "add", longest, "--cid", "77", "--tag", std::string(64, 't'), "--tag", "second"}).code, 0);
  Process connected(guest_words({"kv", "watch", "/self/", "--snapshot"}));
  const auto is_there = [&] { return answer(host({"vm", "show", "web1", "--json"}))["vm"]["connections"] == 1; };
  ASSERT_TRUE(connected.wait_until(is_there)) << connected.errors();
  const auto list = host({"vm", "list"});
  for (const auto& line : lines_of(list.output)) EXPECT_LE(line.size(), 80U) << line;
  EXPECT_TRUE(contains(list.output, "web,prod")) << list.output;
  EXPECT_TRUE(contains(list.output, "connected")) << list.output;
  EXPECT_TRUE(contains(list.output, "MISSING")) << list.output;
  EXPECT_TRUE(contains(host({"vm", "list", "-q"}).output, longest)) << "-q has whole names";
}

TEST_F(OperatorCli, VmSetChangesAVmWhileItsCallsGoOn) {
  add_app();
  Process watch(words("hostcall", {"--address", "unix:" + path("app1.sock")}, {"kv", "watch", "/self/", "--snapshot"}));
  const auto streams = [&] { return answer(host({"vm", "show", "app1", "--json"}))["vm"]["streams"] == 1; };
  ASSERT_TRUE(watch.wait_until(streams)) << watch.errors();
  const auto set = host({"vm", "set", "app1", "--tag", "new", "--remove-tag", "old", "--limit", "streams=1"});
  EXPECT_EQ(set.code, 0) << set.errors;
  EXPECT_TRUE(contains(set.output, "streams=1")) << set.output;
  EXPECT_EQ(host({"kv", "put", "/x", "1", "--vm", "app1"}).code, 0);
  EXPECT_TRUE(watch.wait_until([&] { return contains(watch.output(), "/self/x"); })) << watch.errors();
  expect_failure(host({"vm", "set", "app1"}), 2, "nothing to change");
  expect_failure(host({"vm", "set", "web1", "--tag", "x"}), 1, "50-test.json:");
  EXPECT_EQ(daemon_.stop(), 0);
  daemon_.restart();
  const auto record = answer(host({"vm", "show", "app1", "--json"}))["vm"]["record"];
  EXPECT_EQ(record["tags"], json::array({"new"})) << "it survives the daemon";
  EXPECT_EQ(record["limits"][0]["value"], "1");
}

// ---------------------------------------------------------------- the store

TEST_F(OperatorCli, ABackupIsRestored) {
  const auto backup = path("backup.db");
  EXPECT_EQ(guest({"kv", "put", "/self/a", "before"}).code, 0);
  const auto made = host({"store", "backup", backup});
  EXPECT_EQ(made.code, 0) << made.errors;
  struct stat status {};
  ASSERT_EQ(::stat(backup.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_FALSE(fs::exists(backup + ".new"));
  EXPECT_EQ(guest({"kv", "put", "/self/a", "after"}).code, 0);
  expect_failure(test::run(restore_words(backup)), 125, "another process has the store");
  EXPECT_EQ(guest({"kv", "get", "/self/a"}).output, "after");
  EXPECT_EQ(daemon_.stop(), 0);
  const auto restored = test::run(restore_words(backup));
  EXPECT_EQ(restored.code, 0) << restored.errors;
  EXPECT_TRUE(contains(restored.output, "the one before is kept as ")) << restored.output;
  daemon_.restart();
  EXPECT_EQ(guest({"kv", "get", "/self/a"}).output, "before");
  const auto again = answer(host({"store", "backup", backup, "--json"}));
  EXPECT_EQ(again["totalBytes"], std::to_string(fs::file_size(backup))) << "the old copy is replaced";
  EXPECT_EQ(events({"--kind", "admin"}).back()["text"].get<std::string>().ends_with(": store backup: done"), true);
}

TEST_F(OperatorCli, ABackupIsWholeWhileGuestsWrite) {
  const std::string value(60'000, 'x');
  const auto file = daemon_.directory().write("value", value);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(guest({"kv", "put", "/self/" + std::to_string(i), "--file", file}).code, 0);
  Process writer({"/bin/sh", "-c",
                  "while :; do '" + program("hostcall") + "' --address '" + daemon_.vm_address("web1") +
                      "' kv put /self/n \"$((n = n + 1))\" || exit 1; done"});
  ASSERT_TRUE(writer.wait_until([&] { return lines_of(writer.output()).size() > 3; })) << writer.errors();
  const auto backup = path("backup.db");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(host({"store", "backup", backup}).code, 0);
  const auto before = lines_of(writer.output()).size();
  EXPECT_TRUE(writer.wait_until([&] { return lines_of(writer.output()).size() > before; })) << "it goes on";
  writer.signal(SIGKILL);
  writer.wait();
  EXPECT_EQ(daemon_.stop(), 0);
  EXPECT_EQ(test::run(restore_words(backup)).code, 0);
  daemon_.restart();
  EXPECT_EQ(guest({"kv", "get", "/self/29"}).output, value);
  EXPECT_FALSE(guest({"kv", "get", "/self/n"}).output.empty());
}

TEST_F(OperatorCli, WhatIsNoCopyIsNotRestored) {
  EXPECT_EQ(guest({"kv", "put", "/self/a", "kept"}).code, 0);
  EXPECT_EQ(daemon_.stop(), 0);
  const auto bad = daemon_.directory().write("bad.db", "this is no store");
  expect_failure(test::run(restore_words(bad)), 125, "it is no SQLite database; the store is as it was");
  expect_failure(test::run(restore_words(path("missing.db"))), 125, "missing.db");
  daemon_.restart();
  EXPECT_EQ(guest({"kv", "get", "/self/a"}).output, "kept");
}

TEST_F(OperatorCli, ABackupThatCanNotBeWrittenLeavesNothing) {
  expect_failure(host({"store", "backup", path("missing/backup.db")}), 125, "no backup is made: create ");
  fs::create_directory(path("taken"));
  EXPECT_EQ(host({"store", "backup", path("taken")}).code, 125);
  EXPECT_FALSE(fs::exists(path("taken.new")));
  EXPECT_EQ(host({"store", "backup", path("backup.db"), "-q"}).output, "");
}

}  // namespace
}  // namespace hostcall::test
