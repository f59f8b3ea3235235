#include "daemon/config/config.h"

#include <algorithm>
#include <optional>

#include "daemon/config/json_file.h"
#include "daemon/loop/journal.h"

namespace hostcall::daemon {
namespace {

constexpr std::uint64_t kMaxConnections = 1'000'000;
constexpr std::uint64_t kMinuteMs = 60'000;
constexpr std::uint64_t kDayMs = 24 * 60 * kMinuteMs;
constexpr std::uint64_t kMaxBusyPollUsec = 1000;
constexpr std::size_t kMaxGroupName = 32;

struct TimeoutInfo {
  std::string_view key;
  Duration Timeouts::*member;
  std::uint64_t min_ms, max_ms;
  bool may_be_off;  // 0 means off
};

constexpr TimeoutInfo kTimeouts[] = {
    {"first_request_ms", &Timeouts::first_request, 100, 10 * kMinuteMs, false},
    {"frame_ms", &Timeouts::frame, 100, 10 * kMinuteMs, false},
    {"base_idle_ms", &Timeouts::base_idle, 1000, 30 * kDayMs, false},
    {"heartbeat_ms", &Timeouts::heartbeat, 100, 60 * kMinuteMs, true},
    {"drain_ms", &Timeouts::drain, 1, 60 * kMinuteMs, true},
    {"call_default_ms", &Timeouts::call_default, 1, kDayMs, false},
    {"call_max_ms", &Timeouts::call_max, 1, 30 * kDayMs, false},
};

void read_timeout(const TimeoutInfo& info, const JsonValue& value, Timeouts& timeouts) {
  const auto ms = value.integer(info.may_be_off ? 0 : info.min_ms, info.max_ms);
  if (ms != 0 && ms < info.min_ms)
    value.fail("expected 0 (off) or a whole number from " + std::to_string(info.min_ms) + " to " +
               std::to_string(info.max_ms) + ", but this is " + std::to_string(ms));
  timeouts.*(info.member) = milliseconds(ms);
}

void read_timeouts(const JsonValue& object, Timeouts& timeouts) {
  object.allow_keys(
      {"first_request_ms", "frame_ms", "base_idle_ms", "heartbeat_ms", "drain_ms", "call_default_ms", "call_max_ms"});
  for (const auto& info : kTimeouts)
    if (object.has(info.key)) read_timeout(info, object.at(info.key), timeouts);
  if (timeouts.call_default > timeouts.call_max)
    object.fail("call_default_ms is above call_max_ms; a call that names no deadline would get more than any call may");
}

Limits read_default_limits(const JsonValue& object) {
  const auto limits = with_values({}, read_limits(object));
  object.require(check_limits(limits));
  return limits;
}

net::Address read_listener(const JsonValue& value) {
  auto address = net::Address::parse(value.string());
  if (!address.ok()) value.fail(address.error().message());
  if (address->family == net::Address::Family::kUnix)
    value.fail("a Unix listener belongs to one VM; give the VM's record a unix_path instead");
  if (address->cid != net::kCidAny && address->cid != net::kCidHost)
    value.fail("guests of this host dial CID 2, not CID " + std::to_string(address->cid) +
               "; write vsock::" + std::to_string(address->port));
  return std::move(address).value();
}

std::vector<net::Address> read_listeners(const JsonValue& list) {
  std::vector<net::Address> addresses;
  for (const auto& value : list.elements()) {
    auto address = read_listener(value);
    if (std::ranges::find(addresses, address) != addresses.end()) value.fail(address.to_string() + " is there twice");
    addresses.push_back(std::move(address));
  }
  return addresses;
}

std::string read_path(const JsonValue& value) {
  auto path = value.string();
  if (!path.starts_with('/') || path.find('\0') != std::string::npos)
    value.fail("expected an absolute path, but this is " + in_quotes(path));
  return path;
}

std::string read_socket_path(const JsonValue& value) {
  auto path = read_path(value);
  if (const auto address = net::Address::parse("unix:" + path); !address.ok()) value.fail(address.error().message());
  return path;
}

std::string read_group(const JsonValue& value) {
  auto group = value.string();
  const auto fits = [](char c) { return c > ' ' && c < '\x7f' && c != ':' && c != '/'; };
  if (group.size() > kMaxGroupName || !std::ranges::all_of(group, fits))
    value.fail(in_quotes(group) + " is not a group's name; an empty one leaves the admin socket to root");
  return group;
}

std::string read_log_level(const JsonValue& value) {
  auto name = value.string();
  if (!level_of(name)) value.fail("unknown log level " + in_quotes(name) + "; known are " + std::string(kLevelNames));
  return name;
}

void read_places(const JsonValue& root, Config& config) {
  if (root.has("admin_socket")) config.admin_socket = read_socket_path(root.at("admin_socket"));
  if (root.has("admin_group")) config.admin_group = read_group(root.at("admin_group"));
  if (root.has("runtime_directory")) config.runtime_directory = read_path(root.at("runtime_directory"));
  if (root.has("state_directory")) config.state_directory = read_path(root.at("state_directory"));
  if (root.has("vms_directory")) config.vms_directory = read_path(root.at("vms_directory"));
  if (root.has("policy_directory")) config.policy_directory = read_path(root.at("policy_directory"));
}

}  // namespace

std::string config_directory() { return HOSTCALL_CONFIG_DIRECTORY; }

Config Config::read(const std::string& path) {
  const auto root = JsonValue::read(path);
  root.allow_keys({"listen", "admin_socket", "admin_group", "runtime_directory", "state_directory", "vms_directory",
                   "policy_directory", "log_level", "max_connections", "busy_poll_usec", "limits", "timeouts"});
  Config config;
  if (root.has("listen")) config.listen = read_listeners(root.at("listen"));
  read_places(root, config);
  if (root.has("log_level")) config.log_level = read_log_level(root.at("log_level"));
  if (root.has("max_connections"))
    config.max_connections = static_cast<std::uint32_t>(root.at("max_connections").integer(1, kMaxConnections));
  if (root.has("busy_poll_usec"))
    config.busy_poll = std::chrono::microseconds(root.at("busy_poll_usec").integer(0, kMaxBusyPollUsec));
  if (root.has("limits")) config.limits = read_default_limits(root.at("limits"));
  if (root.has("timeouts")) read_timeouts(root.at("timeouts"), config.timeouts);
  return config;
}

}  // namespace hostcall::daemon
