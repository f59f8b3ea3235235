// Stats: plain counters since the daemon started, which `hostcallctl stats` shows.
#pragma once

#include <cstdint>

namespace hostcall::daemon {

struct Stats {
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_refused = 0;  // unknown callers and limits
  std::uint64_t connections_open = 0;
  std::uint64_t calls = 0;
  std::uint64_t calls_denied = 0;
  std::uint64_t calls_limited = 0;    // RESOURCE_EXHAUSTED because of a limit or a rate
  std::uint64_t calls_timed_out = 0;  // the daemon answered DEADLINE_EXCEEDED
  std::uint64_t violations = 0;
  std::uint64_t heartbeats_lost = 0;  // sessions ended because the peer was silent
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t reloads = 0;
  std::uint64_t reloads_failed = 0;
};

}  // namespace hostcall::daemon
