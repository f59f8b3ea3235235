#include "daemon/runner/unit_state.h"

#include <sys/wait.h>
#include <systemd/sd-bus.h>

#include <csignal>
#include <cstdlib>

namespace hostcall::daemon {
namespace {

constexpr char kUnit[] = "org.freedesktop.systemd1.Unit";
constexpr char kActiveState[] = "ActiveState";
constexpr int kFirstOfSystemd = 200;

bool is_end(const std::string& state) { return state == "inactive" || state == "failed"; }

// Why systemd has ended it. Empty: it has ended by itself.
std::string reason_of(const std::string& result) {
  if (result == "timeout") return "it ran longer than it may";
  if (result == "oom-kill") return "it took more memory than there is for it";
  if (result == "success" || result == "exit-code" || result == "signal" || result == "core-dump") return {};
  return result;
}

}  // namespace

bool UnitState::is_over() const { return is_end(active) && !has_job; }

bool UnitState::has_failed_to_start() const {
  return !has_been_active && (exit_kind == 0 || (exit_kind == CLD_EXITED && exit_status >= kFirstOfSystemd));
}

// What systemd exits with in the program's place (systemd.exec(5)).
const char* UnitState::failed_step() const {
  switch (exit_status) {
    case 200: return "its directory";
    case 203: return "exec";
    case 216: return "its group";
    case 217: return "its user";
    case 226: return "its file systems";
    default: return "its surroundings";
  }
}

runner::Ended UnitState::end() const {
  runner::Ended end;
  if (exit_kind == CLD_EXITED)
    end.set_exit_code(exit_status);
  else
    end.set_signal(exit_kind == 0 ? SIGKILL : exit_status);
  end.set_reason(reason_of(result));
  return end;
}

std::optional<UnitState> read_unit_state(BusMessage answer) {
  constexpr std::size_t kNames = 7;
  if (!answer.error_name().empty()) return std::nullopt;
  const auto values = answer.read_values({kActiveState, "Job", "ActiveEnterTimestamp", "ExecMainStartTimestamp",
                                          "ExecMainCode", "ExecMainStatus", "Result"});
  // One that is missing would be read as 0, which is an exit code.
  if (!values || values->size() != kNames) return std::nullopt;
  return UnitState{.active = values->at(kActiveState).text,
                   .has_job = values->at("Job").number != 0,
                   .has_been_active = values->at("ActiveEnterTimestamp").number != 0,
                   .has_main_process = values->at("ExecMainStartTimestamp").number != 0,
                   .exit_kind = static_cast<int>(values->at("ExecMainCode").number),
                   .exit_status = static_cast<int>(values->at("ExecMainStatus").number),
                   .result = values->at("Result").text};
}

bool says_over(BusMessage signal) {
  if (signal.read_text() != kUnit) return false;
  const auto values = signal.read_values({kActiveState});
  return values && values->contains(kActiveState) && is_end(values->at(kActiveState).text);
}

std::string unit_path(const std::string& unit) {
  char* path = nullptr;
  if (sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit.c_str(), &path) < 0) return {};
  std::string owned(path);
  std::free(path);
  return owned;
}

}  // namespace hostcall::daemon
