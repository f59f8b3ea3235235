// What the tests of both command lines share: a daemon with three VMs, and how its programs are run and judged.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/daemon_process.h"
#include "tests/support/process.h"

namespace hostcall::test {

using nlohmann::json;

using Words = std::vector<std::string>;

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream input(text);
  for (std::string line; std::getline(input, line);) lines.push_back(line);
  return lines;
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Looks again and again while the process runs, and takes its output.
inline void wait_until(const std::function<bool()>& holds, Process& process) {
  ASSERT_TRUE(process.wait_until(holds)) << process.errors();
}

class Cli : public testing::Test {
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

  // The verb's help has examples, tells of -q, and fits a terminal.
  static void expect_help(const std::string& name, const Words& verb) {
    const auto help = test::run(words(name, verb, {"--help"}));
    EXPECT_EQ(help.code, 0) << help.errors;
    EXPECT_TRUE(contains(help.output, "\nExamples:\n")) << help.output;
    EXPECT_TRUE(contains(help.output, "-q")) << "the verb does not tell what is left with -q:\n" << help.output;
    for (const auto& line : lines_of(help.output)) EXPECT_LE(line.size(), 80U) << line;
  }

  // web1 may everything, db1 may not ask for the host's facts, and intruder's VMM has the wrong uid. What holds up a
  // daemon that stops would do so for longer than a test waits.
  DaemonProcess daemon_{{.vms = {},
                         .vms_json = R"({"vms": [
    {"name": "web1", "unix_path": "@DIR@/web1.sock", "tags": ["web", "prod"]},
    {"name": "db1", "unix_path": "@DIR@/db1.sock"},
    {"name": "intruder", "unix_path": "@DIR@/intruder.sock", "vmm_uid": )" +
                                     std::to_string(::getuid() + 1) + "}]}",
                         .config_json = {},
                         .policy_json = R"({"rules": [
    {"vms": ["db1"], "calls": ["hostcall.v1.Host/*", "hostcall.v1.Session/Descriptors"], "action": "deny"},
    {"vms": ["*"], "calls": ["*"], "action": "allow"}]})",
                         .timeouts_ms = {{"drain_ms", kFarMs}}}};
};

}  // namespace hostcall::test
