// Warnings in hostcalld's answers.
#pragma once

#include <string>

#include "client/cli/invocation.h"
#include "client/cli/output.h"
#include "proto/base/escape.h"

namespace hostcall::cli::host {

// On standard error: warnings are no part of the answer, so that programs can read it.
template <class Warnings>
void show_warnings(const Invocation& invocation, const Warnings& warnings) {
  for (const auto& warning : warnings) complain(invocation.program(), "warning: " + escape_message(warning));
}

}  // namespace hostcall::cli::host
