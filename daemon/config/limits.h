// Limits: every resource that a guest can make the daemon hold, with default and bounds. One table serves
// configuration, accounting, ListServices and the command lines, so that they can't disagree.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace hostcall::daemon {

class JsonValue;

// One VM's limits, with their defaults.
struct Limits {
  std::uint64_t connections = 16;
  std::uint64_t streams = 256;
  std::uint64_t connect_rate = 20;
  std::uint64_t connect_burst = 50;
  std::uint64_t message_bytes = 256 * 1024;
  std::uint64_t memory_bytes = 16 * 1024 * 1024;
  std::uint64_t outbound_bytes = 1024 * 1024;
  std::uint64_t unread_reply_bytes = 128 * 1024;
  std::uint64_t store_keys = 1000;
  std::uint64_t store_bytes = 4 * 1024 * 1024;
  std::uint64_t store_key_bytes = 512;
  std::uint64_t store_value_bytes = 64 * 1024;
  std::uint64_t store_watches = 128;
  std::uint64_t store_write_rate = 50;
  std::uint64_t store_write_burst = 200;
  bool operator==(const Limits&) const = default;
};

struct LimitInfo {
  std::string_view name;
  std::string_view unit;  // "count", "bytes" or "per_second"
  std::uint64_t Limits::*member;
  std::uint64_t min, max;
  std::string_view meaning;
};

// Sorted by name.
std::span<const LimitInfo> all_limits();
// Null if there is no such limit.
const LimitInfo* find_limit(std::string_view name);
// Values by limit name, from a file or an administrator.
using LimitValues = std::map<std::string, std::uint64_t>;
// Reads {"connections": 8, …}. Throws ConfigError for an unknown name or a value out of bounds.
LimitValues read_limits(const JsonValue& object);
// Refuses an unknown name or a value out of bounds.
Done check_limit_values(const LimitValues& values);
// The defaults, over which the values take precedence.
Limits with_values(const Limits& defaults, const LimitValues& values);
// Refuses limits that contradict each other. Does not check the bounds of each.
Done check_limits(const Limits& limits);

}  // namespace hostcall::daemon
