// Names of the units in which programs run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hostcall::daemon {

// A part of a name, as systemd-escape(1) writes it: a "-" in it would end the prefix to which systemd applies drop-ins,
// so that those for the service "backup" would hold for "backup-home", too.
std::string escape_unit_part(std::string_view name);

struct UnitNames {
  std::string unit;   // "hostcall-run-SERVICE-VM-N.service"
  std::string slice;  // "hostcall-run-VM.slice"
};
// Of names that have been checked. Nothing: they are too long together.
std::optional<UnitNames> unit_names(std::string_view service, std::string_view vm, std::uint64_t number);

}  // namespace hostcall::daemon
