// The call that starts a transient unit, as a message of D-Bus.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "daemon/config/unit_properties.h"
#include "proto/base/clock.h"
#include "proto/base/unique_fd.h"

struct sd_bus_message;

namespace hostcall::daemon {

struct UnitSpec {
  std::string name, slice, description;
  std::string user;                                             // empty: DynamicUser
  std::vector<std::string> command;                             // in UTF-8
  std::vector<std::string> environment;                         // "NAME=value", in UTF-8
  std::string directory;                                        // empty: /
  Duration timeout{};                                           // 0: none
  std::vector<UnitProperty> properties;                         // the administrator's, which take precedence
  std::vector<std::pair<std::string, std::string>> log_fields;  // of its journal records
  std::array<UniqueFd, 3> descriptors;
};

// Appends the arguments of StartTransientUnit. Returns a negative errno if the message can't hold them.
int append_start(sd_bus_message* message, const UnitSpec& spec);

}  // namespace hostcall::daemon
