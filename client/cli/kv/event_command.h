// A command for each change that a watch sees.
#pragma once

#include <string>

#include "client/cli/kv/follower.h"
#include "hostcall/v1/store.pb.h"

namespace hostcall::cli::kv {

// Runs `command` with /bin/sh and waits for its end. Its standard input is the new value; HOSTCALL_KIND ("put" or
// "delete"), HOSTCALL_KEY and HOSTCALL_REVISION are in its environment. Throws Failure: it can't be started, it fails,
// or the deadline passed; SignalEnd as the follower does. Before either it ends the command and all that it has started
// in its process group: with the same signal, and two seconds later, or at another signal, with SIGKILL.
void run_event_command(const std::string& command, const v1::Event& event, Follower& follower);

}  // namespace hostcall::cli::kv
