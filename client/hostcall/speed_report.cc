// SpeedReport: see speed_report.h.
#include "client/hostcall/speed_report.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "client/cli/duration.h"
#include "client/cli/text.h"

namespace hostcall::cli::guest {
namespace {

using nlohmann::ordered_json;

constexpr double kMedian = 50;
constexpr double kP99 = 99;
constexpr double kBitsPerByte = 8;

double seconds_of(Duration time) { return std::chrono::duration<double>(time).count(); }
double to_ms(nanoseconds time) { return static_cast<double>(time.count()) / 1e6; }

// Three significant digits with iperf's prefix: "941 M", "1.10 G".
std::string scaled(double value, double base) {
  constexpr std::array kPrefixes{"", "K", "M", "G", "T", "P"};
  // A value that would round up to the next prefix takes it.
  std::size_t prefix = 0;
  for (; value >= base - 0.5 && prefix + 1 < kPrefixes.size(); ++prefix) value /= base;
  return fixed(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0) + " " + kPrefixes[prefix];
}

std::string amount_text(SpeedUnit unit, std::uint64_t amount) {
  if (unit == SpeedUnit::kCalls) return std::to_string(amount) + " calls";
  return scaled(static_cast<double>(amount), 1024) + "Bytes";
}

std::string rate_text(SpeedUnit unit, double per_second) {
  if (unit == SpeedUnit::kCalls) return scaled(per_second, 1000) + "calls/sec";
  return scaled(per_second * kBitsPerByte, 1000) + "bits/sec";
}

std::string latency_text(const Measured& latency, const LatencyHistogram& times) {
  return "median " + format_ms(times.percentile(kMedian)) + ", p99 " + format_ms(times.percentile(kP99)) + ", " +
         rate_text(SpeedUnit::kCalls, latency.per_second());
}

std::string stream_text(const Measured& stream) {
  return rate_text(SpeedUnit::kBytes, stream.per_second()) + ", " + amount_text(SpeedUnit::kBytes, stream.amount) +
         " in " + fixed(seconds_of(stream.time), 1) + " s";
}

ordered_json calls_json(const char* kind, std::uint32_t kind_value, const Measured& calls) {
  return {{kind, kind_value},
          {"seconds", seconds_of(calls.time)},
          {"calls", calls.amount},
          {"callsPerSecond", calls.per_second()}};
}

ordered_json latency_json(const SpeedReport& report) {
  auto json = calls_json("payloadBytes", report.payload_bytes, *report.latency);
  json["minMs"] = to_ms(report.times.min());
  json["medianMs"] = to_ms(report.times.percentile(kMedian));
  json["p99Ms"] = to_ms(report.times.percentile(kP99));
  json["maxMs"] = to_ms(report.times.max());
  return json;
}

ordered_json stream_json(std::uint32_t length, const Measured& stream) {
  return {{"chunkBytes", length},
          {"seconds", seconds_of(stream.time)},
          {"bytes", stream.amount},
          {"bitsPerSecond", stream.per_second() * kBitsPerByte}};
}

}  // namespace

std::string interval_line(int part, Duration begin, Duration end, SpeedUnit unit, std::uint64_t amount) {
  const Measured measured{end - begin, amount};
  char place[16];
  std::snprintf(place, sizeof place, "[%3d]  ", part);
  return place + fixed(seconds_of(begin), 1) + "-" + fixed(seconds_of(end), 1) + " s  " + amount_text(unit, amount) +
         "  " + rate_text(unit, measured.per_second());
}

double Measured::per_second() const {
  return time > Duration::zero() ? static_cast<double>(amount) / seconds_of(time) : 0;
}

std::string SpeedReport::to_text() const {
  Table table;
  table.field("latency", latency ? latency_text(*latency, times) : "");
  const auto in_flight = ", " + std::to_string(parallel) + " in flight";
  table.field("calls", calls ? rate_text(SpeedUnit::kCalls, calls->per_second()) + in_flight : "");
  table.field("download", download ? stream_text(*download) : "");
  table.field("upload", upload ? stream_text(*upload) : "");
  return "--- " + host + " speedtest ---\n" + table.to_string();
}

std::string SpeedReport::to_json() const {
  ordered_json json = {{"vm", vm}, {"host", host}};
  json["latency"] = latency ? latency_json(*this) : ordered_json();
  json["parallel"] = calls ? calls_json("inFlight", parallel, *calls) : ordered_json();
  json["download"] = download ? stream_json(length, *download) : ordered_json();
  json["upload"] = upload ? stream_json(length, *upload) : ordered_json();
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace hostcall::cli::guest
