#include "daemon/config/unit_properties.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <set>

#include "daemon/config/nearest.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

constexpr std::uint64_t kInfinity = std::numeric_limits<std::uint64_t>::max();

using Value = decltype(UnitProperty::value);
using Parsed = std::optional<Value>;
using Parse = Parsed (*)(std::string_view);

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Parsed boolean(std::string_view text) {
  constexpr std::string_view kYes[] = {"yes", "true", "on", "1"};
  constexpr std::string_view kNo[] = {"no", "false", "off", "0"};
  if (std::ranges::find(kYes, text) != std::end(kYes)) return Value(true);
  if (std::ranges::find(kNo, text) != std::end(kNo)) return Value(false);
  return std::nullopt;
}

template <std::uint64_t kMin, std::uint64_t kMax>
Parsed count(std::string_view text) {
  const auto number = number_of<std::uint64_t>(text);
  if (!number || *number < kMin || *number > kMax) return std::nullopt;
  return Value(*number);
}

Parsed count_or_infinity(std::string_view text) {
  if (text == "infinity") return Value(kInfinity);
  return count<1, kInfinity - 1>(text);
}

Parsed bytes(std::string_view text) {
  if (text == "infinity") return Value(kInfinity);
  constexpr std::string_view kUnits = "KMGT";
  const auto unit = text.empty() ? std::string_view::npos : kUnits.find(text.back());
  const unsigned shift = unit == std::string_view::npos ? 0 : 10 * static_cast<unsigned>(unit + 1);
  if (shift != 0) text.remove_suffix(1);
  const auto number = number_of<std::uint64_t>(text);
  if (!number || *number == 0 || *number > (kInfinity >> 1) >> shift) return std::nullopt;
  return Value(*number << shift);
}

// The microseconds of each second that a percentage means.
Parsed quota(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  const auto percent = number_of<std::uint32_t>(text.substr(0, text.size() - 1));
  constexpr std::uint32_t kMaxPercent = 1'000'000;
  constexpr std::uint64_t kPerPercent = 10'000;
  if (!percent || *percent == 0 || *percent > kMaxPercent) return std::nullopt;
  return Value(*percent * kPerPercent);
}

Parsed niceness(std::string_view text) {
  const auto number = number_of<std::int32_t>(text);
  if (!number || *number < -20 || *number > 19) return std::nullopt;
  return Value(*number);
}

// One of a few words, of which "yes" and "no" may be booleans.
template <std::size_t kCount>
Parsed word(std::string_view text, const std::array<std::string_view, kCount>& words) {
  if (const auto flag = boolean(text)) text = std::get<bool>(*flag) ? "yes" : "no";
  if (std::ranges::find(words, text) == words.end()) return std::nullopt;
  return Value(std::string(text));
}
Parsed protect_system(std::string_view text) {
  return word(text, std::array<std::string_view, 4>{"yes", "no", "full", "strict"});
}
Parsed protect_home(std::string_view text) {
  return word(text, std::array<std::string_view, 4>{"yes", "no", "read-only", "tmpfs"});
}
Parsed protect_proc(std::string_view text) {
  return word(text, std::array<std::string_view, 4>{"noaccess", "invisible", "ptraceable", "default"});
}

bool is_path(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return text.starts_with('/');
}

bool is_group(std::string_view text) {
  const auto fits = [](char c) { return c > ' ' && c < '\x7f' && c != ':' && c != '/'; };
  return !text.empty() && !text.starts_with('-') && std::ranges::all_of(text, fits);
}

template <bool (*kFits)(std::string_view)>
Parsed list(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const auto one = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    if (one.empty()) continue;
    if (!kFits(one)) return std::nullopt;
    words.emplace_back(one);
  }
  if (words.empty()) return std::nullopt;
  return Value(std::move(words));
}

Parsed group(std::string_view text) { return is_group(text) ? Parsed(Value(std::string(text))) : std::nullopt; }

constexpr std::string_view kBoolean = "true or false";
constexpr std::string_view kBytes = "bytes, such as \"512M\" (K, M, G, T), or \"infinity\"";
constexpr std::string_view kCount = "a number, or \"infinity\"";
constexpr std::string_view kWeight = "a number from 1 to 10000";
constexpr std::string_view kPaths = "absolute paths with spaces between them";

struct Kind {
  std::string_view name;
  Parse parse;
  std::string_view expected;
  std::string_view dbus_name = {};  // if another
};
constexpr Kind kKinds[] = {
    {"CPUQuota", quota, "a percentage of one CPU, such as \"50%\"", "CPUQuotaPerSecUSec"},
    {"CPUWeight", count<1, 10'000>, kWeight},
    {"Group", group, "a group's name"},
    {"IOWeight", count<1, 10'000>, kWeight},
    {"InaccessiblePaths", list<is_path>, kPaths},
    {"LimitCORE", count_or_infinity, kCount},
    {"LimitFSIZE", bytes, kBytes},
    {"LimitNOFILE", count_or_infinity, kCount},
    {"LimitNPROC", count_or_infinity, kCount},
    {"LockPersonality", boolean, kBoolean},
    {"MemoryDenyWriteExecute", boolean, kBoolean},
    {"MemoryHigh", bytes, kBytes},
    {"MemoryMax", bytes, kBytes},
    {"MemorySwapMax", bytes, kBytes},
    {"Nice", niceness, "a number from -20 to 19"},
    {"NoNewPrivileges", boolean, kBoolean},
    {"PrivateDevices", boolean, kBoolean},
    {"PrivateIPC", boolean, kBoolean},
    {"PrivateNetwork", boolean, kBoolean},
    {"PrivateTmp", boolean, kBoolean},
    {"PrivateUsers", boolean, kBoolean},
    {"ProtectClock", boolean, kBoolean},
    {"ProtectControlGroups", boolean, kBoolean},
    {"ProtectHome", protect_home, "true, false, \"read-only\" or \"tmpfs\""},
    {"ProtectHostname", boolean, kBoolean},
    {"ProtectKernelLogs", boolean, kBoolean},
    {"ProtectKernelModules", boolean, kBoolean},
    {"ProtectKernelTunables", boolean, kBoolean},
    {"ProtectProc", protect_proc, "\"noaccess\", \"invisible\", \"ptraceable\" or \"default\""},
    {"ProtectSystem", protect_system, "true, false, \"full\" or \"strict\""},
    {"ReadOnlyPaths", list<is_path>, kPaths},
    {"ReadWritePaths", list<is_path>, kPaths},
    {"RemoveIPC", boolean, kBoolean},
    {"RestrictRealtime", boolean, kBoolean},
    {"RestrictSUIDSGID", boolean, kBoolean},
    {"SupplementaryGroups", list<is_group>, "groups' names with spaces between them"},
    {"TasksMax", count_or_infinity, kCount},
};

Error unknown(const std::string& name) {
  std::set<std::string, std::less<>> names;
  for (const auto& kind : kKinds) names.emplace(kind.name);
  const auto meant = nearest(name, names);
  return {0,
          "property " + in_quotes(name) + " can't be set here" +
              (meant.empty() ? "; write a drop-in for the service's units instead" : "; do you mean " + meant + "?")};
}

}  // namespace

Result<UnitProperty> read_unit_property(const std::string& name, std::string_view text) {
  const auto* const kind = std::ranges::find(kKinds, name, &Kind::name);
  if (kind == std::end(kKinds)) return unknown(name);
  auto value = kind->parse(text);
  if (!value)
    return Error{0, "property " + name + " takes " + std::string(kind->expected) + ", not " + in_quotes(text)};
  return UnitProperty{.name = std::string(kind->dbus_name.empty() ? kind->name : kind->dbus_name),
                      .value = std::move(*value)};
}

}  // namespace hostcall::daemon
