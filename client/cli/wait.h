// Waiting for descriptors up to a point in time.
#pragma once

#include <poll.h>

#include <span>

#include "proto/base/clock.h"

namespace hostcall::cli {

// The time until then for poll(2), at least 0.
int milliseconds_until(TimePoint deadline);
// False: nothing happened until the deadline. May return true without an event, after a signal.
bool wait_for(std::span<pollfd> descriptors, TimePoint deadline);

}  // namespace hostcall::cli
