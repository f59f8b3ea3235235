// Counts how often a test program waits for events: epoll_waits.cc replaces epoll_pwait(2) in the program that links
// it.
#pragma once

#include <cstddef>

namespace hostcall::test {

// Calls so far, including those that returned at once.
std::size_t epoll_waits();

}  // namespace hostcall::test
