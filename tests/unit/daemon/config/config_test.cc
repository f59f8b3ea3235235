// hostcalld.json: every key, every bound, and the file that is shipped.
#include "daemon/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  EXPECT_EQ(config.policy_directory, config_directory() + "/policy.d");
  EXPECT_EQ(config.limits, Limits{});
}

TEST_F(ConfigTest, ReadsEveryKey) {
  const auto config = read(R"({
    "listen": ["vsock::18499", "vsock:2:1000"],
    "admin_socket": "/a.sock", "admin_group": "", "runtime_directory": "/r", "state_directory": "/s",
    "vms_directory": "/v", "policy_directory": "/p", "log_level": "debug", "max_connections": 7,
    "busy_poll_usec": 50,
    "limits": {"connections": 1, "streams": 2},
    "timeouts": {"first_request_ms": 101, "frame_ms": 102, "base_idle_ms": 1003, "heartbeat_ms": 104, "drain_ms": 105,
                 "call_default_ms": 106, "call_max_ms": 107}
  })");
  ASSERT_EQ(config.listen.size(), 2u);
  EXPECT_EQ(config.listen[0].to_string(), "vsock::18499");
  EXPECT_EQ(config.listen[1].to_string(), "vsock:2:1000");
  EXPECT_EQ(config.admin_socket, "/a.sock");
  EXPECT_EQ(config.admin_group, "");
  EXPECT_EQ(config.runtime_directory, "/r");
  EXPECT_EQ(config.state_directory, "/s");
  EXPECT_EQ(config.vms_directory, "/v");
  EXPECT_EQ(config.policy_directory, "/p");
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

TEST_F(ConfigTest, SomeTimesCanBeSwitchedOff) {
  const auto config = read(R"({"timeouts": {"heartbeat_ms": 0, "drain_ms": 0}})");
  EXPECT_EQ(config.timeouts.heartbeat, Duration::zero());
  EXPECT_EQ(config.timeouts.drain, Duration::zero());
  EXPECT_THAT(error(R"({"timeouts": {"frame_ms": 0}})"), HasSubstr("expected a whole number from 100 to 600000"));
  EXPECT_EQ(error("{\"timeouts\": {\n\"heartbeat_ms\": 99}}"),
            "c.json:2: expected 0 (off) or a whole number from 100 to 3600000, but this is 99");
}

TEST_F(ConfigTest, ListenersAreVsockOfThisHost) {
  EXPECT_THAT(error("{\"listen\": [\n\"unix:/x\"]}"), HasSubstr("c.json:2: a Unix listener belongs to one VM"));
  EXPECT_THAT(error(R"({"listen": ["vsock:7:18499"]})"), HasSubstr("dial CID 2, not CID 7; write vsock::18499"));
  EXPECT_THAT(error(R"({"listen": ["vsock:18499"]})"), HasSubstr("the port is missing"));
  EXPECT_THAT(error(R"({"listen": ["vsock::1", "vsock::1"]})"), HasSubstr("vsock::1 is there twice"));
}

TEST_F(ConfigTest, ComplaintsNameLineAndBounds) {
  EXPECT_THAT(error("{\n\"limit\": {}}"), HasSubstr("c.json:2: unknown key \"limit\"; known are listen, admin_socket"));
  EXPECT_THAT(error("{\"timeouts\":\n{\"frame\": 1}}"), HasSubstr("c.json:2: unknown key \"frame\"; known are first_"));
  EXPECT_EQ(error(R"({"max_connections": 0})"), "c.json:1: expected a whole number from 1 to 1000000, but this is 0");
  EXPECT_EQ(error(R"({"busy_poll_usec": 1001})"), "c.json:1: expected a whole number from 0 to 1000, but this is 1001");
  EXPECT_EQ(error("{\"limits\": {\n\"streams\": 0}}"),
            "c.json:2: expected a whole number from 1 to 1000000, but this is 0");
  EXPECT_THAT(error("{\"limits\": {\"memory_bytes\": 65536}}"),
              HasSubstr("message_bytes (262144) is above memory_bytes"));
  EXPECT_THAT(error(R"({"log_level": "verbose"})"),
              HasSubstr("unknown log level \"verbose\"; known are error, warning, notice, info, debug"));
  EXPECT_THAT(error(R"({"timeouts": {"call_max_ms": 1000}})"), HasSubstr("call_default_ms is above call_max_ms"));
}

TEST_F(ConfigTest, PathsAreAbsoluteAndGroupsAreNames) {
  for (const auto* key : {"admin_socket", "runtime_directory", "state_directory", "vms_directory", "policy_directory"})
    EXPECT_EQ(error("{\"" + std::string(key) + "\": \"run\"}"),
              "c.json:1: expected an absolute path, but this is \"run\"");
  EXPECT_THAT(error("{\"admin_socket\": \"/" + std::string(107, 'x') + "\"}"), HasSubstr("108 bytes"));
  EXPECT_THAT(error(R"({"admin_group": "a b"})"), HasSubstr("\"a b\" is not a group's name"));
}

TEST_F(ConfigTest, AMissingFileIsAnError) {
  EXPECT_EQ(test::error_of([&] { Config::read(path_); }), path_ + ": cannot be opened: No such file or directory");
}

// Whoever changes one of the two must change the other.
TEST(ShippedConfig, SaysTheBuiltInValues) {
  const auto config = Config::read(SYSTEMD_SOURCE "/hostcalld.json");
  const Config built_in;
  EXPECT_EQ(config.listen, built_in.listen);
  EXPECT_EQ(config.admin_group, built_in.admin_group);
  EXPECT_EQ(config.log_level, built_in.log_level);
  EXPECT_EQ(config.max_connections, built_in.max_connections);
  EXPECT_EQ(config.busy_poll, built_in.busy_poll);
  EXPECT_TRUE(JsonValue::read(SYSTEMD_SOURCE "/hostcalld.json").has("busy_poll_usec")) << "it is shown";
  EXPECT_EQ(config.limits, built_in.limits);
  EXPECT_EQ(config.timeouts, built_in.timeouts);
  const auto root = JsonValue::read(SYSTEMD_SOURCE "/hostcalld.json");
  EXPECT_EQ(root.at("limits").members().size(), all_limits().size()) << "every limit is shown";
  EXPECT_EQ(root.at("timeouts").members().size(), sizeof(Timeouts) / sizeof(Duration)) << "every time is shown";
}

}  // namespace
}  // namespace hostcall::daemon
