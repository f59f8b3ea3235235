// What is measured: latencies, and CPU time on both sides over an interval.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace hostcall::bench {

using Clock = std::chrono::steady_clock;

// Every single latency, exact. Its memory is touched before the first one, so that recording costs a store.
class Latencies {
 public:
  explicit Latencies(double seconds);
  void record(Clock::duration time) {
    if (count_ < ns_.size()) ns_[count_++] = static_cast<std::uint32_t>(time.count());
  }
  bool full() const { return count_ == ns_.size(); }
  // Of all that were recorded, in microseconds. Sorts them.
  double percentile_us(double percent);

 private:
  std::vector<std::uint32_t> ns_;
  std::size_t count_ = 0;
};

// Time and CPU time so far.
struct Moment {
  Clock::time_point time;
  double own_cpu_s;
  double server_cpu_s;  // of all its threads; 0 when no process was named

  static Moment now(pid_t server);
};

// One line of JSON.
class Result {
 public:
  // Calls, their rate, and CPU time per call.
  void add_calls(std::uint64_t count, const Moment& begin, const Moment& end);
  // "NAME_p50_us" and "NAME_p99_us".
  void add_percentiles(const std::string& name, Latencies& latencies);
  void add(const std::string& name, double value);
  void add(const std::string& name, const std::string& text);
  void print() const;

 private:
  std::string members_;
};

}  // namespace hostcall::bench
