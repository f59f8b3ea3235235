// hostcalld.json: every key, every bound, and the file that is shipped.
#include "daemon/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <sstream>

#include "tests/support/contents.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/config_error.h"

namespace hostcall::daemon {
namespace {

using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
 protected:
  Config read(const std::string& text) { return Config::read(dir_.write("c.json", text)); }
  // The complaint, without the file's directory.
  std::string error(const std::string& text) {
    const auto complaint = test::error_of([&] { read(text); });
    return complaint.starts_with(path_) ? complaint.substr(path_.size() - 6) : complaint;
  }

  test::TempDir dir_;
  std::string path_ = dir_ / "c.json";
};

TEST_F(ConfigTest, EverythingIsOptional) {
  const auto config = read("{}");
  EXPECT_TRUE(config.listen.empty());
  EXPECT_EQ(config.admin_socket, "/run/hostcall/admin.sock");
  EXPECT_EQ(config.metrics_path(), "/run/hostcall/metrics.sock");
  EXPECT_FALSE(config.metrics_per_vm);
  EXPECT_THAT(config.policy_directories(),
              testing::ElementsAre(config_directory() + "/policy.d", vendor_directory() + "/policy.d"));
  EXPECT_EQ(config.limits, Limits{});
}

TEST_F(ConfigTest, ReadsEveryKey) {
  const auto config = read(R"({
    "listen": ["vsock::18499", "vsock:2:1000"],
    "admin_socket": "/a.sock", "admin_group": "", "runtime_directory": "/r", "state_directory": "/s",
    "vms_directory": "/v", "policy_directory": "/p", "log_level": "debug", "max_connections": 7,
    "busy_poll_usec": 50, "metrics_socket": "/m.sock", "metrics_per_vm": true,
    "limits": {"connections": 1, "streams": 2},
    "timeouts": {"first_request_ms": 101, "frame_ms": 102, "base_idle_ms": 1003, "heartbeat_ms": 104, "drain_ms": 105,
                 "call_default_ms": 106, "call_max_ms": 107}
  })");
  ASSERT_EQ(config.listen.size(), 2u);
  EXPECT_EQ(config.listen[0].to_string(), "vsock::18499");
  EXPECT_EQ(config.listen[1].to_string(), "vsock:2:1000");
  EXPECT_EQ(config.admin_socket, "/a.sock");
  EXPECT_EQ(config.admin_group, "");
  EXPECT_EQ(config.metrics_path(), "/m.sock");
  EXPECT_TRUE(config.metrics_per_vm);
  EXPECT_EQ(config.runtime_directory, "/r");
  EXPECT_EQ(config.state_directory, "/s");
  EXPECT_EQ(config.vms_directory, "/v");
  EXPECT_THAT(config.policy_directories(), testing::ElementsAre("/p")) << "the named one alone";
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_EQ(config.max_connections, 7u);
  EXPECT_EQ(config.busy_poll, std::chrono::microseconds(50));
  EXPECT_EQ(config.limits, (Limits{.connections = 1, .streams = 2}));
  EXPECT_EQ(config.timeouts.first_request, milliseconds(101));
  EXPECT_EQ(config.timeouts.frame, milliseconds(102));
  EXPECT_EQ(config.timeouts.base_idle, milliseconds(1003));
  EXPECT_EQ(config.timeouts.heartbeat, milliseconds(104));
  EXPECT_EQ(config.timeouts.drain, milliseconds(105));
  EXPECT_EQ(config.timeouts.call_default, milliseconds(106));
  EXPECT_EQ(config.timeouts.call_max, milliseconds(107));
}

TEST_F(ConfigTest, TheMetricsSocketIsInTheRuntimeDirectoryUnlessItIsNamedOrOff) {
  EXPECT_EQ(read(R"({"runtime_directory": "/r"})").metrics_path(), "/r/metrics.sock");
  const auto off = read(R"({"metrics_socket": ""})");
  EXPECT_EQ(off.metrics_path(), "");
  EXPECT_EQ(off.own_sockets().size(), 1u);
  const auto own = read("{}").own_sockets();
  ASSERT_EQ(own.size(), 2u);
  EXPECT_EQ(own[1].path, "/run/hostcall/metrics.sock");
  auto wanted = off;
  EXPECT_THAT(
      wanted.keep_until_restart(read("{}")),
      testing::ElementsAre("metrics_socket stays \"/run/hostcall/metrics.sock\", because a reload can't change it "
                           "to \"\"; restart hostcalld to apply it"));
  EXPECT_EQ(wanted.metrics_path(), "/run/hostcall/metrics.sock");
  EXPECT_THAT(error(R"({"metrics_socket": "relative"})"), HasSubstr("metrics_socket"));
  EXPECT_THAT(error("{\"runtime_directory\": \"/" + std::string(100, 'x') + "\"}"), HasSubstr("metrics_socket"));
}

TEST_F(ConfigTest, OurRulesAreInForceBesideTheDefaultDirectoryHoweverItIsNamed) {
  const auto usual = config_directory() + "/policy.d";
  for (const auto& path :
       {usual, usual + "/",
        config_directory() + "/../" + std::filesystem::path(config_directory()).filename().string() + "/./policy.d"}) {
    EXPECT_EQ(read("{\"policy_directory\": \"" + path + "\"}").policy_directories(), Config().policy_directories())
        << path;
  }
  EXPECT_THAT(read("{\"policy_directory\": \"" + usual + ".new\"}").policy_directories(),
              testing::ElementsAre(usual + ".new"));
}

TEST_F(ConfigTest, WhatOnlyARestartChangesIsKeptWithAWarning) {
  const auto running = read(R"({"listen": ["vsock::1"], "admin_group": "a", "log_level": "info"})");
  auto wanted = read(R"({"listen": ["vsock::2", "vsock::3"], "admin_socket": "/x", "admin_group": "",
                         "runtime_directory": "/r", "state_directory": "/s", "log_level": "debug"})");
  EXPECT_THAT(wanted.keep_until_restart(running),
              testing::ElementsAre("listen stays [\"vsock::1\"], because a reload can't change it to [\"vsock::2\", "
                                   "\"vsock::3\"]; restart hostcalld to apply it",
                                   HasSubstr("admin_socket stays \"/run/hostcall/admin.sock\""),
                                   HasSubstr("admin_group stays \"a\", because a reload can't change it to \"\""),
                                   HasSubstr("runtime_directory stays \"/run/hostcall\""),
                                   HasSubstr("state_directory stays \"/var/lib/hostcall\"")));
  EXPECT_EQ(wanted.listen, running.listen);
  EXPECT_EQ(wanted.admin_socket, running.admin_socket);
  EXPECT_EQ(wanted.admin_group, running.admin_group);
  EXPECT_EQ(wanted.runtime_directory, running.runtime_directory);
  EXPECT_EQ(wanted.state_directory, running.state_directory);
  EXPECT_EQ(wanted.log_level, "debug") << "a reload changes all others";
  EXPECT_THAT(wanted.keep_until_restart(running), testing::IsEmpty());
}

TEST_F(ConfigTest, SomeTimesCanBeSwitchedOff) {
  const auto config = read(R"({"timeouts": {"heartbeat_ms": 0, "drain_ms": 0}})");
  EXPECT_EQ(config.timeouts.heartbeat, Duration::zero());
  EXPECT_EQ(config.timeouts.drain, Duration::zero());
  EXPECT_THAT(error(R"({"timeouts": {"frame_ms": 0}})"), HasSubstr("expected a whole number from 100 to 600000"));
  EXPECT_EQ(error("{\"timeouts\": {\n\"heartbeat_ms\": 99}}"),
            "c.json:2: heartbeat_ms: expected 0 (off) or a whole number from 100 to 3600000, but this is 99");
}

TEST_F(ConfigTest, ListenersAreVsockOfThisHost) {
  EXPECT_THAT(error("{\"listen\": [\n\"unix:/x\"]}"), HasSubstr("c.json:2: listen: a Unix listener belongs to one VM"));
  EXPECT_THAT(error(R"({"listen": ["vsock:7:18499"]})"), HasSubstr("dial CID 2, not CID 7; write vsock::18499"));
  EXPECT_THAT(error(R"({"listen": ["vsock:18499"]})"), HasSubstr("the port is missing"));
  EXPECT_THAT(error(R"({"listen": ["vsock::1", "vsock::1"]})"), HasSubstr("vsock::1 is given twice"));
}

TEST_F(ConfigTest, ComplaintsNameLineAndBounds) {
  EXPECT_THAT(error("{\n\"limit\": {}}"),
              HasSubstr("c.json:2: unknown key \"limit\" (did you mean \"limits\"?); known are listen, admin_socket"));
  EXPECT_THAT(error("{\"timeouts\":\n{\"frame\": 1}}"), HasSubstr("c.json:2: unknown key \"frame\"; known are first_"));
  EXPECT_EQ(error(R"({"max_connections": 0})"),
            "c.json:1: max_connections: expected a whole number from 1 to 1000000, but this is 0");
  EXPECT_EQ(error(R"({"busy_poll_usec": 1001})"),
            "c.json:1: busy_poll_usec: expected a whole number from 0 to 1000, but this is 1001");
  EXPECT_EQ(error("{\"limits\": {\n\"streams\": 0}}"),
            "c.json:2: streams: expected a whole number from 1 to 1000000, but this is 0");
  EXPECT_THAT(error("{\"limits\": {\"memory_bytes\": 65536}}"),
              HasSubstr("message_bytes (262144) is above memory_bytes"));
  EXPECT_THAT(error(R"({"log_level": "verbose"})"),
              HasSubstr("unknown log level \"verbose\"; known are error, warning, notice, info, debug"));
  EXPECT_THAT(error(R"({"timeouts": {"call_max_ms": 1000}})"), HasSubstr("call_default_ms is above call_max_ms"));
}

TEST_F(ConfigTest, PathsAreAbsoluteAndGroupsAreNames) {
  for (const auto* key : {"admin_socket", "runtime_directory", "state_directory", "vms_directory", "policy_directory"})
    EXPECT_EQ(error("{\"" + std::string(key) + "\": \"run\"}"),
              "c.json:1: " + std::string(key) + ": expected an absolute path, but this is \"run\"");
  EXPECT_THAT(error("{\"admin_socket\": \"/" + std::string(107, 'x') + "\"}"), HasSubstr("108 bytes"));
  EXPECT_THAT(error(R"({"admin_group": "a b"})"), HasSubstr("\"a b\" is not a group's name"));
}

TEST_F(ConfigTest, AMissingFileIsAnError) {
  EXPECT_EQ(test::error_of([&] { Config::read(path_); }), path_ + ": cannot be opened: No such file or directory");
}

class ConfigPlacesTest : public ConfigTest {
 protected:
  // The complaint about a file whose directories are all there, but for what is given.
  std::string places(const std::map<std::string, std::string>& changes) {
    std::map<std::string, std::string> places = {{"admin_socket", dir_ / "run/admin.sock"}, {"admin_group", ""}};
    for (const auto* name : {"runtime", "state", "vms", "policy"}) {
      const auto path = dir_ / (name == std::string("runtime") ? "run" : name);
      std::filesystem::create_directory(path);
      places[std::string(name) + "_directory"] = path;
    }
    for (const auto& [key, value] : changes) places[key] = value;
    std::string text;
    for (const auto& [key, value] : places) text += (text.empty() ? "{\n\"" : ",\n\"") + key + "\": \"" + value + "\"";
    const auto file = dir_.write("c.json", text + "}");
    const auto complaint = test::error_of([&] { Config::read_and_check(file); });
    return complaint.starts_with(path_) ? complaint.substr(path_.size() - 6) : complaint;
  }
};

TEST_F(ConfigPlacesTest, WhatTheFileNamesMustBeThere) {
  EXPECT_EQ(places({}), "no error");
  // By the order of the keys in the file.
  EXPECT_EQ(places({{"policy_directory", "/no/such"}}),
            "c.json:4: policy_directory: \"/no/such\": No such file or directory");
  EXPECT_EQ(places({{"runtime_directory", "/no/such"}}),
            "c.json:5: runtime_directory: \"/no/such\": No such file or directory");
  EXPECT_EQ(places({{"state_directory", "/etc/passwd"}}),
            "c.json:6: state_directory: \"/etc/passwd\": Not a directory");
  EXPECT_EQ(places({{"vms_directory", "/no/such"}}),
            "c.json:7: vms_directory: \"/no/such\": No such file or directory");
  EXPECT_EQ(places({{"admin_socket", "/no/such/a.sock"}}),
            "c.json:3: admin_socket: \"/no/such\": No such file or directory");
  EXPECT_THAT(places({{"admin_group", "no-such-group"}}),
              HasSubstr("c.json:2: admin_group: this host has no group \"no-such-group\"; groupadd"));
  EXPECT_EQ(places({{"admin_group", "root"}}), "no error");
}

TEST_F(ConfigPlacesTest, DefaultsOfWhatIsWrittenMustBeThereToo) {
  dir_.write("c.json", "{\"state_directory\": \"" + dir_.path() + "\", \"admin_socket\": \"" + dir_ / "a\"}");
  const auto complaint = test::error_of([&] { Config::read_and_check(path_); });
  if (!std::filesystem::exists("/run/hostcall")) {
    EXPECT_THAT(complaint, HasSubstr("c.json: runtime_directory (its default): \"/run/hostcall\": No such file"));
  }
}

// Whoever changes one of the two must change the other.
TEST(ShippedConfig, SaysTheBuiltInValues) {
  // A copy: the daemon does not trust a source tree that a group may write.
  const test::TempDir directory;
  const auto file = directory / "hostcalld.json";
  std::filesystem::copy(SYSTEMD_SOURCE "/hostcalld.json", file);
  std::filesystem::permissions(file, std::filesystem::perms(0644));
  const auto config = Config::read(file);
  const Config built_in;
  EXPECT_EQ(config.listen, built_in.listen);
  EXPECT_EQ(config.admin_group, built_in.admin_group);
  EXPECT_EQ(config.log_level, built_in.log_level);
  EXPECT_EQ(config.max_connections, built_in.max_connections);
  EXPECT_EQ(config.busy_poll, built_in.busy_poll);
  EXPECT_TRUE(JsonValue::read(file).has("busy_poll_usec")) << "it is shown";
  EXPECT_EQ(config.limits, built_in.limits);
  EXPECT_EQ(config.timeouts, built_in.timeouts);
  const auto root = JsonValue::read(file);
  EXPECT_EQ(root.at("limits").members().size(), all_limits().size()) << "every limit is shown";
  EXPECT_EQ(root.at("timeouts").members().size(), sizeof(Timeouts) / sizeof(Duration)) << "every time is shown";
}

// Those whose default depends on the build are comments.
TEST(ShippedConfig, NamesEverySetting) {
  const auto text = hostcall::test::contents_of(SYSTEMD_SOURCE "/hostcalld.json");
  const test::TempDir directory;
  const auto complaint = test::error_of([&] { Config::read(directory.write("c.json", R"({"no": 1})")); });
  std::istringstream known(complaint.substr(complaint.find("known are ") + 10));
  int keys = 0;
  for (std::string key; std::getline(known >> std::ws, key, ','); ++keys)
    EXPECT_TRUE(text.find("\n  \"" + key + "\": ") != text.npos || text.find("\n  // \"" + key + "\": ") != text.npos)
        << key;
  EXPECT_GE(keys, 12);
}

}  // namespace
}  // namespace hostcall::daemon
