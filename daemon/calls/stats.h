// Stats: what the daemon has done since it started; plain counters, shown by `hostcallctl stats`.
#pragma once

#include <cstdint>

namespace hostcall::daemon {

struct Stats {
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_refused = 0;  // unknown callers and limits
  std::uint64_t connections_open = 0;
  std::uint64_t calls = 0;
  std::uint64_t calls_denied = 0;
  std::uint64_t calls_limited = 0;    // RESOURCE_EXHAUSTED by a limit or a rate
  std::uint64_t calls_timed_out = 0;  // DEADLINE_EXCEEDED by the daemon
  std::uint64_t violations = 0;
  std::uint64_t heartbeats_lost = 0;  // sessions ended because the peer was silent
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t reloads = 0;
  std::uint64_t reloads_failed = 0;
};

}  // namespace hostcall::daemon
