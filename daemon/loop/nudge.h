// Nudge: ends a wait in the kernel that holds up a turn. Nothing here should wait, but a peer of a Unix socket may pass
// descriptors, which the kernel closes in the turn that reads or discards them, and closing a TCP socket that lingers
// waits for as long as the peer has said. A signal ends such waits, all of one system call at once.
#pragma once

#include <csignal>
#include <ctime>

#include "proto/base/clock.h"

namespace hostcall::daemon {

class Nudge {
 public:
  // The longest wait.
  static constexpr Duration kPeriod = milliseconds(5);

  // From now on, a signal comes to the calling thread every kPeriod, or as soon as it is not blocked any more. Throws
  // std::runtime_error if the kernel refuses.
  Nudge();
  ~Nudge();
  Nudge(const Nudge&) = delete;
  Nudge& operator=(const Nudge&) = delete;

  // For epoll_pwait(): the calling thread's mask, with the signal blocked, because sleep is no wait to be ended. While
  // it is blocked, it costs nothing.
  static sigset_t mask_for_sleep();

 private:
  timer_t timer_{};
};

}  // namespace hostcall::daemon
