// Stats: plain counters since the daemon started, which `hostcallctl stats` shows.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "proto/base/clock.h"

namespace hostcall::daemon {

// The keys are words of this program, which live as long as it does.
using CountsByReason = std::map<std::string_view, std::uint64_t>;

// Null: "other".
inline void count_reason(CountsByReason& counts, const char* reason) { ++counts[reason == nullptr ? "other" : reason]; }

inline std::uint64_t sum_of(const CountsByReason& counts) {
  std::uint64_t sum = 0;
  for (const auto& [reason, count] : counts) sum += count;
  return sum;
}

struct Stats {
  std::uint64_t connections_accepted = 0;
  CountsByReason refusals;  // of connections: unknown callers and limits
  std::uint64_t connections_open = 0;
  std::uint64_t calls = 0;
  std::uint64_t calls_denied = 0;
  CountsByReason limits_hit;          // calls that got RESOURCE_EXHAUSTED because of a limit or a rate
  std::uint64_t calls_timed_out = 0;  // the daemon answered DEADLINE_EXCEEDED
  std::uint64_t violations = 0;
  std::uint64_t heartbeats_lost = 0;  // sessions ended because the peer was silent
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t reloads = 0;
  std::uint64_t reloads_failed = 0;
  std::uint64_t restarts = 0;      // that connections have survived
  Duration restart_silence{};      // how long nobody was served during the latest
  Duration restart_silence_sum{};  // during all
};

}  // namespace hostcall::daemon
