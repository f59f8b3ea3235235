#include "client/hostcallctl/top_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "client/cli/duration.h"
#include "client/cli/text.h"

namespace hostcall::cli::host {
namespace {

using Row = TopTable::Row;
using Sort = TopTable::Sort;

constexpr std::size_t kNameWidth = 20;
constexpr std::size_t kLimitWidth = 22;

struct SortName {
  std::string_view name;
  char key;
  Sort sort;
};
constexpr SortName kSorts[] = {{"name", 'n', Sort::kName},     {"connections", 'o', Sort::kConnections},
                               {"calls", 'c', Sort::kCalls},   {"denied", 'd', Sort::kDenied},
                               {"bytes", 'b', Sort::kBytes},   {"p99", 'p', Sort::kP99},
                               {"memory", 'm', Sort::kMemory}, {"limit", 'l', Sort::kLimit}};

double weight_of(const Row& row, Sort sort) {
  switch (sort) {
    case Sort::kName: return 0;
    case Sort::kConnections: return static_cast<double>(row.connections);
    case Sort::kCalls: return row.calls;
    case Sort::kDenied: return row.denied;
    case Sort::kBytes: return row.bytes;
    case Sort::kP99: return row.p99 ? static_cast<double>(row.p99->count()) : 0;
    case Sort::kMemory: return static_cast<double>(row.memory);
    case Sort::kLimit: return row.nearest_used;
  }
  return 0;
}

std::uint64_t bytes_of(const v1::VmState& vm) { return vm.bytes_in() + vm.bytes_out(); }

// What has come since. Another daemon may have other buckets.
v1::DurationBuckets difference(const v1::DurationBuckets& now, const v1::DurationBuckets& before) {
  auto rest = now;
  for (int i = 0; i < rest.counts_size() && i < before.counts_size(); ++i)
    rest.set_counts(i, now.counts(i) - std::min(now.counts(i), before.counts(i)));
  return rest;
}

std::string time_text(const std::optional<nanoseconds>& time) {
  if (!time) return "-";
  if (*time < milliseconds(1))
    return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(*time).count()) + "us";
  return format_duration(*time);
}

std::string limit_text(const Row& row) {
  if (row.nearest_limit.empty()) return "-";
  const auto percent = std::to_string(static_cast<int>(row.nearest_used * 100 + 0.5)) + "%";
  return cut(row.nearest_limit, kLimitWidth - percent.size() - 1) + " " + percent;
}

nlohmann::ordered_json json_time(const std::optional<nanoseconds>& time) {
  return time ? nlohmann::ordered_json(time->count()) : nlohmann::ordered_json();
}

}  // namespace

std::optional<nanoseconds> quantile_of(const v1::DurationBuckets& buckets, double part) {
  std::uint64_t all = 0, seen = 0;
  for (const auto count : buckets.counts()) all += count;
  for (int i = 0; i < buckets.bounds_nano_size() && i < buckets.counts_size(); ++i) {
    seen += buckets.counts(i);
    if (seen != 0 && static_cast<double>(seen) >= part * static_cast<double>(all))
      return nanoseconds(buckets.bounds_nano(i));
  }
  return std::nullopt;
}

std::string state_of(const v1::VmState& vm) {
  if (vm.connections() != 0) return "connected";
  return vm.unreachable().empty() ? "silent" : "MISSING";
}

std::string cut(std::string text, std::size_t width) {
  if (text.size() <= width) return text;
  text.resize(std::max<std::size_t>(width, 2) - 2);
  return text + "..";
}

std::string format_rate(double per_second) {
  if (per_second <= 0) return "0";
  constexpr const char* kUnits[] = {"", "k", "M", "G"};
  std::size_t unit = 0;
  while (per_second >= 999.5 && unit + 1 < std::size(kUnits)) {
    per_second /= 1000;
    ++unit;
  }
  return fixed(per_second, per_second < 9.95 ? 1 : 0) + kUnits[unit];
}

std::optional<Sort> TopTable::sort_of(std::string_view name) {
  const auto* at = std::ranges::find(kSorts, name, &SortName::name);
  return at == std::end(kSorts) ? std::nullopt : std::optional(at->sort);
}

std::optional<Sort> TopTable::sort_of_key(char key) {
  const auto* at = std::ranges::find(kSorts, key, &SortName::key);
  return at == std::end(kSorts) ? std::nullopt : std::optional(at->sort);
}

void TopTable::begin(TimePoint now) {
  next_at_ = now;
  next_counts_.clear();
  next_rows_.clear();
}

void TopTable::take(const v1::VmState& vm) {
  const auto& name = vm.record().name();
  Row row{.name = name,
          .state = state_of(vm),
          .nearest_limit = vm.nearest_limit(),
          .connections = vm.connections(),
          .memory = vm.memory_bytes(),
          .calls = vm.calls_per_second(),
          .denied = vm.denied_per_second(),
          .bytes = vm.bytes_per_second(),
          .nearest_used = vm.nearest_used()};
  auto latency = vm.latency();
  const auto before = counts_.find(name);
  if (before != counts_.end() && before->second.registration == vm.registration() && next_at_ > at_) {
    const auto& old = before->second;
    const auto past = std::chrono::duration<double>(next_at_ - at_).count();
    row.calls = static_cast<double>(vm.calls() - std::min(vm.calls(), old.calls)) / past;
    row.denied = static_cast<double>(vm.denied() - std::min(vm.denied(), old.denied)) / past;
    row.bytes = static_cast<double>(bytes_of(vm) - std::min(bytes_of(vm), old.bytes)) / past;
    latency = difference(latency, old.latency);
  }
  row.p50 = quantile_of(latency, 0.5);
  row.p99 = quantile_of(latency, 0.99);
  next_rows_.push_back(std::move(row));
  next_counts_[name] = {vm.registration(), vm.calls(), vm.denied(), bytes_of(vm), vm.latency()};
  tags_[name] = join({vm.record().tags().begin(), vm.record().tags().end()}, " ");
}

void TopTable::finish() {
  rows_ = std::move(next_rows_);
  counts_ = std::move(next_counts_);
  at_ = next_at_;
  std::erase_if(tags_, [this](const auto& entry) { return !counts_.contains(entry.first); });
}

bool TopTable::is_shown(const Row& row) const {
  if (only_connected && row.connections == 0) return false;
  return row.name.find(filter) != std::string::npos || tags_.at(row.name).find(filter) != std::string::npos;
}

std::vector<Row> TopTable::rows() const {
  std::vector<Row> shown;
  for (const auto& row : rows_)
    if (is_shown(row)) shown.push_back(row);
  std::ranges::sort(shown, [this](const Row& a, const Row& b) {
    const auto left = weight_of(a, sort), right = weight_of(b, sort);
    return left != right ? left > right : a.name < b.name;
  });
  return shown;
}

std::string TopTable::to_text(std::size_t lines) const {
  Table table({"VM", "STATE", ">CONNS", ">CALLS/s", ">DENY/s", ">BYTES/s", ">P50", ">P99", ">MEMORY", "NEAREST LIMIT"});
  std::size_t left = lines == 0 ? rows_.size() : lines;
  for (const auto& row : rows()) {
    if (left-- == 0) break;
    table.add({cut(row.name, kNameWidth), row.state, std::to_string(row.connections), format_rate(row.calls),
               format_rate(row.denied), format_rate(row.bytes), time_text(row.p50), time_text(row.p99),
               format_bytes(row.memory), limit_text(row)});
  }
  return table.to_string();
}

std::string TopTable::to_json() const {
  auto vms = nlohmann::ordered_json::array();
  for (const auto& row : rows())
    vms.push_back({{"vm", row.name},
                   {"state", row.state},
                   {"connections", row.connections},
                   {"callsPerSecond", row.calls},
                   {"deniedPerSecond", row.denied},
                   {"bytesPerSecond", row.bytes},
                   {"p50Nano", json_time(row.p50)},
                   {"p99Nano", json_time(row.p99)},
                   {"memoryBytes", row.memory},
                   {"nearestLimit", row.nearest_limit},
                   {"nearestUsed", row.nearest_used}});
  return nlohmann::ordered_json{{"vms", vms}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string TopTable::summary() const {
  double calls = 0, denied = 0, bytes = 0;
  std::size_t connected = 0;
  for (const auto& row : rows_) {
    calls += row.calls;
    denied += row.denied;
    bytes += row.bytes;
    connected += row.connections != 0 ? 1U : 0U;
  }
  return count(rows_.size(), "VM") + ", " + std::to_string(connected) + " connected; " + format_rate(calls) +
         " calls/s, " + format_rate(denied) + " denied/s, " + format_rate(bytes) + " bytes/s";
}

}  // namespace hostcall::cli::host
