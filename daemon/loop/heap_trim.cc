#include "daemon/loop/heap_trim.h"

#include <malloc.h>

#include <algorithm>

namespace hostcall::daemon {
namespace {

constexpr Duration kDelay = milliseconds(500);
// A trim is worth a hundredth of the time at most.
constexpr int kPausePerTrim = 100;
// Free memory that the end of the heap keeps.
constexpr std::size_t kKeptBytes = 256 * 1024;

}  // namespace

void HeapTrim::trim_soon() {
  bytes_ = 0;
  if (timer_.deadline() == kNever) timer_.set(std::max(reactor_.now() + kDelay, earliest_));
}

void HeapTrim::trim() {
  const auto begin = Clock::now();
  ::malloc_trim(kKeptBytes);
  earliest_ = reactor_.now() + kPausePerTrim * (Clock::now() - begin);
}

}  // namespace hostcall::daemon
