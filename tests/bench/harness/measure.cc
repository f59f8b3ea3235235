#include "tests/bench/harness/measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>

#include "tests/support/cpu_seconds.h"

namespace hostcall::bench {
namespace {

// No system answers faster in a closed loop, so that the memory suffices.
constexpr double kMaxCallsPerSecond = 1e6;

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double own_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

std::string in_quotes(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c < ' ' ? ' ' : c;
  }
  return quoted + '"';
}

}  // namespace

Latencies::Latencies(double seconds) : ns_(static_cast<std::size_t>(seconds * kMaxCallsPerSecond) + 1000, 1) {}

double Latencies::percentile_us(double percent) {
  if (count_ == 0) return 0;
  std::sort(ns_.begin(), ns_.begin() + static_cast<std::ptrdiff_t>(count_));
  const auto rank = static_cast<std::size_t>(static_cast<double>(count_) * percent / 100);
  return ns_[std::min(rank, count_ - 1)] / 1e3;
}

Moment Moment::now(pid_t server) {
  return {.time = Clock::now(),
          .own_cpu_s = own_cpu_seconds(),
          .server_cpu_s = server == 0 ? 0 : test::cpu_seconds(server)};
}

void Result::add_calls(std::uint64_t count, const Moment& begin, const Moment& end) {
  const auto calls = static_cast<double>(count);
  const double seconds = std::chrono::duration<double>(end.time - begin.time).count();
  add("calls", calls);
  add("seconds", seconds);
  add("calls_per_s", calls / seconds);
  add("client_us_per_call", (end.own_cpu_s - begin.own_cpu_s) * 1e6 / calls);
  add("server_us_per_call", (end.server_cpu_s - begin.server_cpu_s) * 1e6 / calls);
}

void Result::add_percentiles(const std::string& name, Latencies& latencies) {
  add(name + "_p50_us", latencies.percentile_us(50));
  add(name + "_p99_us", latencies.percentile_us(99));
}

void Result::add(const std::string& name, double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.6g", value);
  members_ += (members_.empty() ? "" : ", ") + in_quotes(name) + ": " + text;
}

void Result::add(const std::string& name, const std::string& text) {
  members_ += (members_.empty() ? "" : ", ") + in_quotes(name) + ": " + in_quotes(text);
}

void Result::print() const { std::printf("{%s}\n", members_.c_str()); }

}  // namespace hostcall::bench
