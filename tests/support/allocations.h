// Counts a test program's allocations: allocations.cc replaces operator new in the program that links it.
#pragma once

#include <cstddef>

namespace hostcall::test {

// The number of allocations since the last forget_allocations(), and the size of the largest.
std::size_t allocations();
std::size_t largest_allocation();
void forget_allocations();

}  // namespace hostcall::test
