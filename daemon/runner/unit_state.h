// UnitState: what systemd says of a unit, all of one moment.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/runner/bus_message.h"
#include "runner/runner.pb.h"

namespace hostcall::daemon {

struct UnitState {
  std::string active;  // "inactive" also of one that systemd does not know
  bool has_job = false;
  bool has_been_active = false, has_main_process = false;  // the latter: also an ended one
  int exit_kind = 0, exit_status = 0;                      // as in siginfo_t; 0: it has not ended
  std::string result;

  // "inactive" is the state before a start job has run, too.
  bool is_over() const;
  // systemd has not brought it as far as to its program, which it says with an exit status of its own.
  bool has_failed_to_start() const;
  // Why, from that status.
  const char* failed_step() const;
  runner::Ended end() const;
};

// From the answer to GetAll of all interfaces. Nothing: that is an error or not what systemd says.
std::optional<UnitState> read_unit_state(BusMessage answer);
// Whether a signal PropertiesChanged says that its unit is over.
bool says_over(BusMessage signal);
// The path of a unit's object.
std::string unit_path(const std::string& unit);

}  // namespace hostcall::daemon
