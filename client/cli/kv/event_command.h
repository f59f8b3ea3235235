// A command for each change that a watch sees.
#pragma once

#include <string>

#include "hostcall/v1/store.pb.h"

namespace hostcall::cli::kv {

// Runs `command` with /bin/sh and waits for its end. Its standard input is the new value; HOSTCALL_KIND ("put" or
// "delete"), HOSTCALL_KEY and HOSTCALL_REVISION are in its environment. Throws Failure: it can't be started, or it
// fails.
void run_event_command(const std::string& command, const v1::Event& event);

}  // namespace hostcall::cli::kv
