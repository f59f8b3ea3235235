#include "daemon/services/host_facts.h"

#include <charconv>
#include <optional>

namespace hostcall::daemon {
namespace {

constexpr std::uint64_t kKiB = 1024;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

// Removes the next number from the text and returns it; zero if there is none.
template <class Number>
Number take_number(std::string_view& text) {
  text = trim(text);
  Number value{};
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value).ptr;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

// The rest of the line that begins with `key`.
std::optional<std::string_view> line_after(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    if (line.starts_with(key)) return line.substr(key.size());
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::uint64_t number_after(std::string_view text, std::string_view key) {
  auto rest = line_after(text, key);
  return rest ? take_number<std::uint64_t>(*rest) : 0;
}

}  // namespace

void parse_meminfo(std::string_view text, v1::MetricsResponse& metrics) {
  const auto bytes = [&](std::string_view key) { return number_after(text, key) * kKiB; };
  metrics.set_memory_total_bytes(bytes("MemTotal:"));
  metrics.set_memory_free_bytes(bytes("MemFree:"));
  metrics.set_memory_available_bytes(bytes("MemAvailable:"));
  metrics.set_memory_used_bytes(metrics.memory_total_bytes() - metrics.memory_free_bytes());
  metrics.set_swap_total_bytes(bytes("SwapTotal:"));
  metrics.set_swap_used_bytes(metrics.swap_total_bytes() - bytes("SwapFree:"));
}

void parse_loadavg(std::string_view text, v1::MetricsResponse& metrics) {
  metrics.set_load_1m(take_number<double>(text));
  metrics.set_load_5m(take_number<double>(text));
  metrics.set_load_15m(take_number<double>(text));
}

// The fields are user nice system idle iowait irq softirq steal; user includes guest time.
void parse_stat(std::string_view text, double ticks, v1::MetricsResponse& metrics) {
  auto line = line_after(text, "cpu ").value_or("");
  double fields[8];
  for (auto& field : fields) field = static_cast<double>(take_number<std::uint64_t>(line)) / ticks;
  metrics.set_total_cpu_seconds(fields[0] + fields[1] + fields[2] + fields[5] + fields[6]);
  metrics.set_idle_cpu_seconds(fields[3] + fields[4]);
  metrics.set_steal_cpu_seconds(fields[7]);
}

void parse_vmstat(std::string_view text, v1::MetricsResponse& metrics) {
  metrics.set_paged_in_bytes(number_after(text, "pgpgin ") * kKiB);
  metrics.set_paged_out_bytes(number_after(text, "pgpgout ") * kKiB);
}

}  // namespace hostcall::daemon
