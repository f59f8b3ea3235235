#include "daemon/config/config.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
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
    if (std::ranges::find(addresses, address) != addresses.end()) value.fail(address.to_string() + " is given twice");
    addresses.push_back(std::move(address));
  }
  return addresses;
}

std::string read_socket_path(const JsonValue& value) {
  auto path = value.absolute_path();
  if (const auto address = net::Address::at_path(path); !address.ok()) value.fail(address.error().message());
  return path;
}

// Empty: none.
std::string read_metrics_socket(const JsonValue& value) {
  return value.string().empty() ? std::string() : read_socket_path(value);
}

// A directory with a long name needs another place for it.
void check_metrics_path(const JsonValue& root, const Config& config) {
  const auto path = config.metrics_path();
  if (const auto address = net::Address::at_path(path); !path.empty() && !address.ok())
    root.fail("metrics_socket (its default): " + address.error().message());
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

Config::Runner read_runner(const JsonValue& value) {
  const auto name = value.string();
  if (name == "auto") return Config::Runner::kAuto;
  if (name == "systemd") return Config::Runner::kSystemd;
  if (name == "direct") return Config::Runner::kDirect;
  value.fail("unknown runner " + in_quotes(name) + "; known are auto, systemd and direct");
}

bool is_same_place(const std::string& path, const std::string& other) {
  return (std::filesystem::path(path) / "").lexically_normal() ==
         (std::filesystem::path(other) / "").lexically_normal();
}

// Ours belong to the default directory: whoever names another one wants only what is there.
void read_directory(const JsonValue& value, std::string& directory, std::string& vendor_directory) {
  const auto path = value.absolute_path();
  if (is_same_place(path, directory)) return;
  directory = path;
  vendor_directory.clear();
}

void read_places(const JsonValue& root, Config& config) {
  if (root.has("admin_socket")) config.admin_socket = read_socket_path(root.at("admin_socket"));
  if (root.has("admin_group")) config.admin_group = read_group(root.at("admin_group"));
  if (root.has("runtime_directory")) config.runtime_directory = root.at("runtime_directory").absolute_path();
  if (root.has("metrics_socket")) config.metrics_socket = read_metrics_socket(root.at("metrics_socket"));
  check_metrics_path(root, config);
  if (root.has("state_directory")) config.state_directory = root.at("state_directory").absolute_path();
  if (root.has("vms_directory")) config.vms_directory = root.at("vms_directory").absolute_path();
  if (root.has("policy_directory"))
    read_directory(root.at("policy_directory"), config.policy_directory, config.vendor_policy_directory);
  if (root.has("services_directory"))
    read_directory(root.at("services_directory"), config.services_directory, config.vendor_services_directory);
}

// --- what only a restart changes ---

struct FixedText {
  std::string_view key;
  std::string Config::*member;
};

constexpr FixedText kFixedTexts[] = {
    {"admin_socket", &Config::admin_socket},
    {"admin_group", &Config::admin_group},
    {"runtime_directory", &Config::runtime_directory},
    {"state_directory", &Config::state_directory},
    {"services_directory", &Config::services_directory},
};

std::string text_of(const std::vector<net::Address>& listeners) {
  std::string text;
  for (const auto& address : listeners) text += (text.empty() ? "" : ", ") + in_quotes(address.to_string());
  return "[" + text + "]";
}

std::string kept_text(std::string_view key, const std::string& in_force, const std::string& wanted) {
  return std::string(key) + " stays " + in_force + ", because a reload can't change it to " + wanted +
         "; restart hostcalld to apply it";
}

// --- what the host must have ---

struct PlaceInfo {
  std::string_view key;
  std::string Config::*member;
  bool is_written;     // hostcalld makes files in it
  bool may_be_absent;  // unless the file names it
};

constexpr PlaceInfo kPlaces[] = {
    {"runtime_directory", &Config::runtime_directory, true, false},
    {"state_directory", &Config::state_directory, true, false},
    {"vms_directory", &Config::vms_directory, false, true},
    {"policy_directory", &Config::policy_directory, false, true},
    {"services_directory", &Config::services_directory, false, true},
};

Done check_directory(const std::string& path, bool is_written) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return Error::from_errno(in_quotes(path));
  if (!S_ISDIR(status.st_mode)) return Error{ENOTDIR, in_quotes(path)};
  const int access = is_written ? W_OK | X_OK : R_OK | X_OK;
  if (::faccessat(AT_FDCWD, path.c_str(), access, AT_EACCESS) == 0) return done();
  return Error::from_errno("uid " + std::to_string(::geteuid()) + (is_written ? " can't write to " : " can't read ") +
                           in_quotes(path));
}

// Names the key's place, or the file and that it is the default.
void refuse_place(const JsonValue& root, std::string_view key, const Error& why) {
  if (root.has(key)) root.at(key).fail(why.message());
  throw ConfigError(root.file(), 0, std::string(key) + " (its default): " + why.message());
}

void check_group(const JsonValue& root, const std::string& group) {
  if (!root.has("admin_group") || group.empty()) return;
  std::vector<char> buffer(64 * 1024);
  struct group entry {};
  struct group* found = nullptr;
  if (::getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 && found == nullptr)
    root.at("admin_group")
        .fail("this host has no group " + in_quotes(group) + "; groupadd --system it, or write \"\" for root only");
}

void check_places(const JsonValue& root, const Config& config) {
  for (const auto& place : kPlaces) {
    const auto& path = config.*(place.member);
    if (place.may_be_absent && !root.has(place.key) && ::access(path.c_str(), F_OK) != 0) continue;
    if (const auto checked = check_directory(path, place.is_written); !checked.ok())
      refuse_place(root, place.key, checked.error());
  }
  for (const auto& [key, path] :
       {std::pair("admin_socket", config.admin_socket), std::pair("metrics_socket", config.metrics_path())}) {
    const auto directory = std::filesystem::path(path).parent_path();
    if (const auto checked = path.empty() ? done() : check_directory(directory, true); !checked.ok())
      refuse_place(root, key, checked.error());
  }
  check_group(root, config.admin_group);
}

}  // namespace

std::string config_directory() { return HOSTCALL_CONFIG_DIRECTORY; }

std::string vendor_directory() { return HOSTCALL_VENDOR_DIRECTORY; }

std::string config_file_in_force(const std::string& named) {
  if (!named.empty()) return named;
  auto file = config_directory() + "/hostcalld.json";
  // Only a file that does not exist leaves the choice to us: one that can't be read is an error.
  if (::access(file.c_str(), F_OK) != 0 && errno == ENOENT) return vendor_directory() + "/hostcalld.json";
  return file;
}

namespace {

// An empty one is left out.
std::vector<std::string> both(const std::string& directory, const std::string& vendor) {
  return vendor.empty() ? std::vector{directory} : std::vector{directory, vendor};
}

}  // namespace

std::vector<OwnSocket> Config::own_sockets() const {
  std::vector<OwnSocket> sockets = {{"the admin socket", admin_socket}};
  if (auto path = metrics_path(); !path.empty()) sockets.push_back({"the metrics socket", std::move(path)});
  return sockets;
}

std::vector<std::string> Config::policy_directories() const { return both(policy_directory, vendor_policy_directory); }

std::vector<std::string> Config::services_directories() const {
  return both(services_directory, vendor_services_directory);
}

// As sd_booted(3).
std::string Config::runner_directory() const {
  const bool by_systemd =
      runner == Runner::kSystemd || (runner == Runner::kAuto && ::access("/run/systemd/system", F_OK) == 0);
  return by_systemd ? "/run/hostcall-runner" : "";
}

std::vector<std::string> Config::keep_until_restart(const Config& in_force) {
  std::vector<std::string> warnings;
  if (listen != in_force.listen) warnings.push_back(kept_text("listen", text_of(in_force.listen), text_of(listen)));
  listen = in_force.listen;
  for (const auto& [key, member] : kFixedTexts) {
    auto& value = this->*member;
    const auto& old = in_force.*member;
    if (value != old) warnings.push_back(kept_text(key, in_quotes(old), in_quotes(value)));
    value = old;
  }
  if (metrics_socket != in_force.metrics_socket)
    warnings.push_back(kept_text("metrics_socket", in_quotes(in_force.metrics_path()), in_quotes(metrics_path())));
  metrics_socket = in_force.metrics_socket;
  if (runner != in_force.runner) warnings.push_back("runner stays as it was until hostcalld is restarted");
  runner = in_force.runner;
  vendor_services_directory = in_force.vendor_services_directory;
  return warnings;
}

Config Config::read(const std::string& path) { return from(JsonValue::read(path)); }

Config Config::read_and_check(const std::string& path) {
  const auto root = JsonValue::read(path);
  auto config = from(root);
  check_places(root, config);
  return config;
}

Config Config::from(const JsonValue& root) {
  root.allow_keys({"listen", "admin_socket", "admin_group", "metrics_socket", "metrics_per_vm", "runtime_directory",
                   "state_directory", "vms_directory", "policy_directory", "services_directory", "runner", "log_level",
                   "max_connections", "busy_poll_usec", "limits", "timeouts"});
  Config config;
  if (root.has("listen")) config.listen = read_listeners(root.at("listen"));
  read_places(root, config);
  if (root.has("runner")) config.runner = read_runner(root.at("runner"));
  if (root.has("log_level")) config.log_level = read_log_level(root.at("log_level"));
  if (root.has("max_connections"))
    config.max_connections = static_cast<std::uint32_t>(root.at("max_connections").integer(1, kMaxConnections));
  if (root.has("metrics_per_vm")) config.metrics_per_vm = root.at("metrics_per_vm").boolean();
  if (root.has("busy_poll_usec"))
    config.busy_poll = std::chrono::microseconds(root.at("busy_poll_usec").integer(0, kMaxBusyPollUsec));
  if (root.has("limits")) config.limits = read_default_limits(root.at("limits"));
  if (root.has("timeouts")) read_timeouts(root.at("timeouts"), config.timeouts);
  return config;
}

}  // namespace hostcall::daemon
