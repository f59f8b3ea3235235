// Counts how often a test program waits for events: epoll_waits.cc replaces epoll_wait(2) of the program that it is
// linked into.
#pragma once

#include <cstddef>

namespace hostcall::test {

// So far, with those that returned at once.
std::size_t epoll_waits();

}  // namespace hostcall::test
