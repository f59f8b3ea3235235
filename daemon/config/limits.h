// Limits: every resource that a guest can make the daemon hold, with its default and bounds. One table
// serves configuration, accounting, ListServices and the command lines, so that no two of them disagree.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "proto/base/result.h"

namespace hostcall::daemon {

class JsonValue;

// Per VM. Defaults from the product's documentation.
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
// Null: there is no such limit.
const LimitInfo* find_limit(std::string_view name);
// Values by limit name, as a file or an administrator gives them.
using LimitValues = std::map<std::string, std::uint64_t>;
// Reads {"connections": 8, …}; throws ConfigError for an unknown name or a value out of bounds.
LimitValues read_limits(const JsonValue& object);
// Refuses an unknown name, and a value out of bounds.
Done check_limit_values(const LimitValues& values);
// The defaults with the values in their place.
Limits with_values(const Limits& defaults, const LimitValues& values);
// Refuses a set in which two limits contradict each other. The bounds of each are not looked at.
Done check_limits(const Limits& limits);

}  // namespace hostcall::daemon
