#include "tests/support/allocations.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#if defined(__has_feature)
#define HOSTCALL_THREAD_SANITIZER __has_feature(thread_sanitizer)
#else
#define HOSTCALL_THREAD_SANITIZER 0
#endif

namespace {

std::atomic<std::size_t> count = 0, largest = 0;

}  // namespace

namespace hostcall::test {

std::size_t allocations() { return count; }
std::size_t largest_allocation() { return largest; }
void forget_allocations() { count = largest = 0; }

}  // namespace hostcall::test

namespace {

[[maybe_unused]] void* counted(std::size_t size) {
  ++count;
  largest = std::max<std::size_t>(largest, size);
  return std::malloc(size);
}

[[maybe_unused]] void* counted_or_throw(std::size_t size) {
  if (void* memory = counted(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

#if !HOSTCALL_THREAD_SANITIZER  // which has its own, and lets nobody replace them
// Replaces all forms except the aligned ones: a sanitizer brings its own for each form that is missing, and they don't
// mix.
void* operator new(std::size_t size) { return counted_or_throw(size); }
void* operator new[](std::size_t size) { return counted_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
#endif
