// Durations as people write and read them on a command line.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hostcall::cli {

// Longest that parse_duration() takes: a month, well below what the library's milliseconds hold.
inline constexpr std::chrono::milliseconds kMaxDuration = std::chrono::hours(30 * 24);

// "5" and "5s", "0.2", "500ms", "2m", "1h"; from 1 ms to kMaxDuration. Nothing: it is not of that form.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// The forms, for messages and help.
inline constexpr char kDurationForms[] = "5, 5s, 500ms, 2m or 1h";

// "340ms", "12.3s", "5m 12s", "3h 4m", "2d 3h".
std::string format_duration(std::chrono::nanoseconds time);
// In one unit that loses nothing, as parse_duration() takes it: "1500ms", "90s", "720h".
std::string exact_duration(std::chrono::milliseconds time);
// "0.123 ms", for round trips.
std::string format_ms(std::chrono::nanoseconds time);

// "2026-07-30 12:34:56.789 UTC" of nanoseconds since 1970.
std::string format_time(std::int64_t unix_nano);

}  // namespace hostcall::cli
