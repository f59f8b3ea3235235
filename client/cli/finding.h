// Finding: what one check of a doctor saw, and what to do about it. Both doctors collect findings and print them here.
#pragma once

#include <string>
#include <vector>

#include "client/cli/exit_code.h"

namespace hostcall::cli {

struct Finding {
  enum class State { kOk, kWarn, kFail };

  State state = State::kOk;
  std::string check;   // stable name for programs, "vsock.device"
  std::string text;    // what was seen
  std::string advice;  // what to do; empty where nothing needs doing
};
using Findings = std::vector<Finding>;

Finding ok(std::string check, std::string text);
Finding warn(std::string check, std::string text, std::string advice);
Finding fail(std::string check, std::string text, std::string advice);

// 0 unless a check failed.
ExitCode exit_code_of(const Findings& findings);
// Lines "ok    CHECK  TEXT" with the advice below; `only_problems` leaves out those that are ok.
std::string to_text(const Findings& findings, bool only_problems);
// {"healthy": true, "findings": [{"check", "state", "text", "advice"}, …]}, one line.
std::string to_json(const Findings& findings);

}  // namespace hostcall::cli
