// What a ConfigError says, for tests that compare it.
#pragma once

#include <string>

#include "daemon/config/json_file.h"

namespace hostcall::test {

// The text of the ConfigError that `action` throws; "no error" if it throws none.
template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const daemon::ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace hostcall::test
