// The processes below a process, by /proc. Others come and go meanwhile: who wants all of them asks until there are
// none.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <set>

namespace hostcall::daemon {

// Sends a signal to all descendants of a process that itself lives and waits for its children, except for the spared
// children and what is below them. Returns how many there were.
std::size_t signal_descendants(pid_t ancestor, int signal, const std::set<pid_t>& spared = {});

}  // namespace hostcall::daemon
