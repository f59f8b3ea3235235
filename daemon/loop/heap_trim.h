// HeapTrim: gives freed memory back to the kernel, a moment after much of it was used. free() returns only the end of
// the heap, and small objects in use keep what lies before them.
#pragma once

#include <cstddef>

#include "daemon/loop/reactor.h"

namespace hostcall::daemon {

class HeapTrim {
 public:
  // As many bytes are worth a trim.
  static constexpr std::size_t kWorthBytes = 1024 * 1024;

  explicit HeapTrim(Reactor& reactor) : reactor_(reactor), timer_(reactor, Callback::to<&HeapTrim::trim>(this)) {}

  // So many bytes went through the heap. Enough of them make it trim half a second later; later still if trims take
  // long, because a heap with many holes costs the kernel a call for each.
  void note(std::size_t bytes) {
    if ((bytes_ += bytes) >= kWorthBytes) trim_soon();
  }

 private:
  void trim_soon();
  void trim();

  Reactor& reactor_;
  Timer timer_;
  std::size_t bytes_ = 0;
  TimePoint earliest_ = TimePoint::min();  // of the next trim
};

}  // namespace hostcall::daemon
