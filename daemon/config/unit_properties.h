// Which properties of systemd's units an entry of services.d may set, and what they are on D-Bus. systemd's own parser
// is in no library, so the list is short; an administrator writes others in a drop-in for the units' prefix.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proto/base/result.h"

namespace hostcall::daemon {

struct UnitProperty {
  std::string name;  // on D-Bus
  std::variant<bool, std::int32_t, std::uint64_t, std::string, std::vector<std::string>> value;
};

// Refuses other names than those of the list, and values that they can't have. The name and the text are those of a
// unit file. The error says what is expected.
Result<UnitProperty> read_unit_property(const std::string& name, std::string_view text);

}  // namespace hostcall::daemon
