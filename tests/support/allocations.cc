#include "tests/support/allocations.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> largest = 0;

}  // namespace

namespace hostcall::test {

std::size_t largest_allocation() { return largest; }
void forget_allocations() { largest = 0; }

}  // namespace hostcall::test

void* operator new(std::size_t size) {
  largest = std::max<std::size_t>(largest, size);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
