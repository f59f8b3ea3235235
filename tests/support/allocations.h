// Counts what a test program allocates: allocations.cc replaces operator new of the program that it is linked into.
#pragma once

#include <cstddef>

namespace hostcall::test {

// Since the last call of forget_allocations(): how many there were, and the largest one's size.
std::size_t allocations();
std::size_t largest_allocation();
void forget_allocations();

}  // namespace hostcall::test
