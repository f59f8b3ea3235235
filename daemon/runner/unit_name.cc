#include "daemon/runner/unit_name.h"

namespace hostcall::daemon {
namespace {

constexpr std::size_t kMaxUnitName = 255;
constexpr char kPrefix[] = "hostcall-run-";

}  // namespace

std::string escape_unit_part(std::string_view name) {
  std::string escaped;
  for (const char c : name) {
    if (c == '-')
      escaped += "\\x2d";
    else
      escaped += c;
  }
  return escaped;
}

std::optional<UnitNames> unit_names(std::string_view service, std::string_view vm, std::uint64_t number) {
  const auto escaped_vm = escape_unit_part(vm);
  UnitNames names{
      .unit = kPrefix + escape_unit_part(service) + "-" + escaped_vm + "-" + std::to_string(number) + ".service",
      .slice = kPrefix + escaped_vm + ".slice"};
  if (names.unit.size() > kMaxUnitName || names.slice.size() > kMaxUnitName) return std::nullopt;
  return names;
}

}  // namespace hostcall::daemon
