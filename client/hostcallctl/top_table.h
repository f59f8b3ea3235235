// TopTable: what `hostcallctl top` shows: the VMs with their rates since the update before, sorted and filtered. Knows
// no terminal and no clock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hostcall/v1/admin.pb.h"
#include "proto/base/clock.h"

namespace hostcall::cli::host {

// What a list of durations says: the bound that so large a part (0 to 1) of them does not exceed. Nothing: there are
// none, or it is longer than the last bound.
std::optional<nanoseconds> quantile_of(const v1::DurationBuckets& buckets, double part);
// "connected", "silent" (no connection), or "MISSING": its listener is.
std::string state_of(const v1::VmState& vm);
// The text, if it is longer, in so many bytes, with ".." at its end. For names and tags, which are ASCII.
std::string cut(std::string text, std::size_t width);
// "1.2", "340", "12.3k", "1.0M": a rate in at most five columns. Zero is "0".
std::string format_rate(double per_second);

class TopTable {
 public:
  struct Row {
    std::string name, state, nearest_limit;
    std::uint64_t connections = 0, memory = 0;
    double calls = 0, denied = 0, bytes = 0;  // per second
    std::optional<nanoseconds> p50, p99;      // of the calls since the update before
    double nearest_used = 0;                  // 0 to 1
  };
  enum class Sort : std::uint8_t { kName, kConnections, kCalls, kDenied, kBytes, kP99, kMemory, kLimit };
  // By the name that --sort takes: "calls". Nothing: there is none such.
  static std::optional<Sort> sort_of(std::string_view name);
  static constexpr std::string_view kSortNames = "name, connections, calls, denied, bytes, p99, memory, limit";
  // By the key that chooses it.
  static std::optional<Sort> sort_of_key(char key);

  Sort sort = Sort::kCalls;
  std::string filter;  // only VMs whose name or one of whose tags contains it; empty: all
  bool only_connected = false;

  // An update, page by page. The first one has the rates that hostcalld tells; the later ones those since the one
  // before.
  void begin(TimePoint now);
  void take(const v1::VmState& vm);
  void finish();

  // Sorted: names upwards, all else downwards and then by name.
  std::vector<Row> rows() const;
  // With a heading; at most `lines` rows if that is not 0.
  std::string to_text(std::size_t lines = 0) const;
  // One line: the rows, rates and totals, as JSON.
  std::string to_json() const;
  // "7 VMs, 5 shown; 120 calls/s, 3.4k bytes/s, …"
  std::string summary() const;

 private:
  // What the next update is compared with.
  struct Counts {
    std::uint64_t registration, calls, denied, bytes;
    v1::DurationBuckets latency;
  };
  bool is_shown(const Row& row) const;

  std::map<std::string, Counts> counts_, next_counts_;
  std::map<std::string, std::string> tags_;
  std::vector<Row> rows_, next_rows_;
  TimePoint at_{}, next_at_{};
};

}  // namespace hostcall::cli::host
