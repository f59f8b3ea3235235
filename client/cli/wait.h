// Waiting for descriptors up to a point in time.
#pragma once

#include <poll.h>

#include <span>

#include "proto/base/clock.h"

namespace hostcall::cli {

// False: nothing happened until the deadline. May return true without an event, after a signal.
bool wait_for(std::span<pollfd> descriptors, TimePoint deadline);

}  // namespace hostcall::cli
