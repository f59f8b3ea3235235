// Durations: see duration.h.
#include "client/cli/duration.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ctime>

#include "client/cli/text.h"

namespace hostcall::cli {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t milliseconds;
};
constexpr std::array kUnits{Unit{"", 1000}, Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}};

std::string two_units(std::int64_t value, std::int64_t per_unit, const char* large, const char* small) {
  const auto rest = value % per_unit;
  const auto text = std::to_string(value / per_unit) + large;
  return rest == 0 ? text : text + " " + std::to_string(rest) + small;
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  double number = 0;
  const char* end = text.data() + text.size();
  // "fixed" takes neither exponents nor hexadecimal; a sign or "inf" is refused by the bounds below.
  const auto [stop, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view unit(stop, static_cast<std::size_t>(end - stop));
  for (const auto& known : kUnits) {
    if (known.name != unit) continue;
    const double ms = std::round(number * static_cast<double>(known.milliseconds));
    if (!(ms >= 1 && ms <= static_cast<double>(kMaxDuration.count()))) return std::nullopt;
    return std::chrono::milliseconds(static_cast<std::int64_t>(ms));
  }
  return std::nullopt;
}

std::string format_duration(std::chrono::nanoseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time).count();
  if (seconds == 0) return std::to_string(std::chrono::ceil<std::chrono::milliseconds>(time).count()) + "ms";
  if (seconds < 60) return fixed(static_cast<double>(time.count()) / 1e9, 1) + "s";
  if (seconds < 3600) return two_units(seconds, 60, "m", "s");
  if (seconds < 86400) return two_units(seconds / 60, 60, "h", "m");
  return two_units(seconds / 3600, 24, "d", "h");
}

std::string exact_duration(std::chrono::milliseconds time) {
  const auto divides = [time](const Unit& unit) { return time.count() % unit.milliseconds == 0; };
  const auto& unit = *std::find_if(kUnits.rbegin(), kUnits.rend(), divides);
  return std::to_string(time.count() / unit.milliseconds) + std::string(unit.name);
}

std::string format_ms(std::chrono::nanoseconds time) {
  return fixed(static_cast<double>(time.count()) / 1e6, 3) + " ms";
}

std::string format_time(std::int64_t unix_nano) {
  const auto seconds = static_cast<std::time_t>(unix_nano / 1'000'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d.%03d UTC", parts.tm_year + 1900, parts.tm_mon + 1,
                parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<int>(unix_nano % 1'000'000'000 / 1'000'000));
  return text;
}

}  // namespace hostcall::cli
