#include "daemon/config/limits.h"

#include <algorithm>
#include <array>

#include "daemon/config/json_file.h"
#include "proto/base/escape.h"
#include "proto/wire/frame.h"

namespace hostcall::daemon {
namespace {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kGiB = 1024 * kMiB;

constexpr std::array kLimits{
    LimitInfo{"connect_burst", "count", &Limits::connect_burst, 1, 100'000,
              "connections at once before connect_rate applies"},
    LimitInfo{"connect_rate", "per_second", &Limits::connect_rate, 1, 100'000, "new connections"},
    LimitInfo{"connections", "count", &Limits::connections, 1, 65'536, "open connections"},
    LimitInfo{"memory_bytes", "bytes", &Limits::memory_bytes, 64 * kKiB, 64 * kGiB,
              "daemon memory for messages that it receives or handles"},
    LimitInfo{"message_bytes", "bytes", &Limits::message_bytes, 4 * kKiB, wire::kMaxDataBytes,
              "one message from the VM"},
    LimitInfo{"outbound_bytes", "bytes", &Limits::outbound_bytes, 64 * kKiB, 64 * kGiB, "unsent replies"},
    LimitInfo{"store_bytes", "bytes", &Limits::store_bytes, kKiB, 64 * kGiB, "keys and values in the store"},
    LimitInfo{"store_key_bytes", "bytes", &Limits::store_key_bytes, 16, kKiB, "one key of the store"},
    LimitInfo{"store_keys", "count", &Limits::store_keys, 1, 10'000'000, "keys in the store"},
    LimitInfo{"store_value_bytes", "bytes", &Limits::store_value_bytes, 1, 64 * kKiB, "one value in the store"},
    LimitInfo{"store_watches", "count", &Limits::store_watches, 1, 1'000'000, "open watches of the store"},
    LimitInfo{"store_write_burst", "count", &Limits::store_write_burst, 1, 1'000'000,
              "writes to the store at once before store_write_rate applies"},
    LimitInfo{"store_write_rate", "per_second", &Limits::store_write_rate, 1, 1'000'000,
              "writes to the store, and watches that start in the past or with a snapshot"},
    LimitInfo{"streams", "count", &Limits::streams, 1, 1'000'000, "open calls, on all connections together"},
    LimitInfo{"unread_reply_bytes", "bytes", &Limits::unread_reply_bytes, 4 * kKiB, kGiB,
              "replies that one connection leaves unread before the daemon stops reading from it"},
};
static_assert(std::ranges::is_sorted(kLimits, {}, &LimitInfo::name));

Error conflict(std::string_view small, std::uint64_t small_value, std::string_view large, std::uint64_t large_value) {
  return {0, "limit " + std::string(small) + " (" + std::to_string(small_value) + ") is above " + std::string(large) +
                 " (" + std::to_string(large_value) +
                 "), so it could never be used up; lower the first or raise the second"};
}

std::string unknown_limit(std::string_view name) {
  std::string known;
  for (const auto& limit : kLimits) (known += known.empty() ? "" : ", ") += limit.name;
  return "there is no limit " + in_quotes(name) + "; known are " + known;
}

}  // namespace

std::span<const LimitInfo> all_limits() { return kLimits; }

const LimitInfo* find_limit(std::string_view name) {
  const auto at = std::ranges::lower_bound(kLimits, name, {}, &LimitInfo::name);
  return at != kLimits.end() && at->name == name ? &*at : nullptr;
}

LimitValues read_limits(const JsonValue& object) {
  LimitValues values;
  for (const auto& [name, value] : object.members()) {
    const LimitInfo* limit = find_limit(name);
    if (limit == nullptr) throw ConfigError(value.file(), value.line(), unknown_limit(name));
    values[name] = value.integer(limit->min, limit->max);
  }
  return values;
}

Done check_limit_values(const LimitValues& values) {
  for (const auto& [name, value] : values) {
    const LimitInfo* limit = find_limit(name);
    if (limit == nullptr) return Error{0, unknown_limit(name)};
    if (value < limit->min || value > limit->max)
      return Error{0, "limit " + name + " is " + std::to_string(value) + ", but must be from " +
                          std::to_string(limit->min) + " to " + std::to_string(limit->max)};
  }
  return done();
}

Limits with_values(const Limits& defaults, const LimitValues& values) {
  Limits limits = defaults;
  for (const auto& [name, value] : values)
    if (const LimitInfo* limit = find_limit(name)) limits.*(limit->member) = value;
  return limits;
}

Done check_limits(const Limits& limits) {
  if (limits.message_bytes > limits.memory_bytes)
    return conflict("message_bytes", limits.message_bytes, "memory_bytes", limits.memory_bytes);
  if (limits.unread_reply_bytes > limits.outbound_bytes)
    return conflict("unread_reply_bytes", limits.unread_reply_bytes, "outbound_bytes", limits.outbound_bytes);
  if (limits.store_value_bytes > limits.store_bytes)
    return conflict("store_value_bytes", limits.store_value_bytes, "store_bytes", limits.store_bytes);
  return done();
}

}  // namespace hostcall::daemon
