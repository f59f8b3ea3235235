// SpeedReport: the results of `hostcall speedtest` in iperf's words and units: Bytes in powers of 1,024, bits and calls
// in powers of 1,000.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "client/hostcall/latency_histogram.h"
#include "proto/base/clock.h"

namespace hostcall::cli::guest {

enum class SpeedUnit { kCalls, kBytes };

// "[  1]  0.0-1.0 s  1.20 GBytes  10.3 Gbits/sec": the calls or bytes of one part between two times.
std::string interval_line(int part, Duration begin, Duration end, SpeedUnit unit, std::uint64_t amount);

// The result of one part of the test.
struct Measured {
  Duration time{};
  std::uint64_t amount = 0;  // calls, or bytes

  double per_second() const;
};

struct SpeedReport {
  std::string vm, host;  // safe for a terminal
  std::uint32_t payload_bytes = 0;
  std::uint32_t parallel = 0;
  std::uint32_t length = 0;  // bytes per message of a stream
  // Nothing: Ctrl-C came first.
  std::optional<Measured> latency, calls, download, upload;
  LatencyHistogram times;  // of each call in `latency`

  // "--- vmhost speedtest ---" and a line for each part.
  std::string to_text() const;
  // One line: {"vm", "host", "latency": {"payloadBytes", "seconds", "calls", "callsPerSecond", "minMs", "medianMs",
  // "p99Ms", "maxMs"}, "parallel": {"inFlight", …}, "download": {"chunkBytes", "seconds", "bytes", "bitsPerSecond"},
  // "upload": {…}}; a part that did not run is null.
  std::string to_json() const;
};

}  // namespace hostcall::cli::guest
