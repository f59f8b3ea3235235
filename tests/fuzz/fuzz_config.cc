// Fuzzes hostcalld.json: whatever it says, it is refused with a bounded error that names it, or every setting is within
// its bounds.
//
// Input: a line end and the text of the file, or choices; see config_text.h.
#include "daemon/config/config.h"
#include "tests/fuzz/config_text.h"
#include "tests/support/temp_dir.h"

namespace hostcall::fuzz {
namespace {

constexpr std::string_view kKeys[] = {
    "listen",         "admin_socket",    "admin_group",      "runtime_directory",  "state_directory",
    "vms_directory",  "log_level",       "policy_directory", "max_connections",    "busy_poll_usec",
    "limits",         "timeouts",        "first_request_ms", "frame_ms",           "base_idle_ms",
    "heartbeat_ms",   "drain_ms",        "call_default_ms",  "call_max_ms",        "connections",
    "streams",        "connect_rate",    "connect_burst",    "message_bytes",      "memory_bytes",
    "outbound_bytes", "store_key_bytes", "store_bytes",      "unread_reply_bytes", "unknown"};
constexpr std::string_view kValues[] = {"vsock::18499", "vsock:2:18499", "vsock:3:1", "unix:/run/x", "/run/x", "/",
                                        "relative",     "hostcall",      "",          "debug",       "info",   "a:b",
                                        "\\u0000",      "\\ud800",       "@abstract"};

void check(const daemon::Config& config) {
  for (const auto& limit : daemon::all_limits()) {
    const auto value = config.limits.*limit.member;
    require(limit.min <= value && value <= limit.max, "each limit is within its bounds");
  }
  require(daemon::check_limits(config.limits).ok(), "limits do not contradict each other");
  require(config.max_connections > 0, "somebody may connect");
  require(config.timeouts.call_default <= config.timeouts.call_max, "no call gets more time than it may");
  for (const auto* path : {&config.admin_socket, &config.runtime_directory, &config.state_directory,
                           &config.vms_directory, &config.policy_directory})
    require(path->starts_with('/') && path->find('\0') == path->npos, "paths are absolute");
  for (const auto& address : config.listen)
    require(address.family == net::Address::Family::kVsock, "shared listeners are vsock's");
}

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace hostcall::fuzz;
  static const hostcall::test::TempDir directory;
  Choices choices(bytes, size);
  const auto path = directory.write("hostcalld.json", config_text(choices, {kKeys, kValues}));
  check_config(path, [&] { check(hostcall::daemon::Config::read(path)); });
  return 0;
}
