#include "tests/support/epoll_waits.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <csignal>

namespace {

std::size_t waits = 0;

}  // namespace

namespace hostcall::test {

std::size_t epoll_waits() { return waits; }

}  // namespace hostcall::test

extern "C" [[gnu::visibility("default")]] int epoll_pwait(int epoll, epoll_event* events, int count, int timeout,
                                                          const sigset_t* mask) {
  ++waits;
  return static_cast<int>(::syscall(SYS_epoll_pwait, epoll, events, count, timeout, mask, std::size_t{_NSIG / 8}));
}
