#include "daemon/loop/nudge.h"

#include <unistd.h>

#include <cerrno>
#include <stdexcept>

#include "proto/base/result.h"

namespace hostcall::daemon {
namespace {

constexpr int kSignal = SIGALRM;

[[noreturn]] void fail(const char* what) { throw std::runtime_error(Error::from_errno(what).message()); }

}  // namespace

Nudge::Nudge() {
  struct sigaction nothing {};
  nothing.sa_handler = [](int) {};
  nothing.sa_flags = SA_RESTART;  // whatever else it interrupts goes on
  if (::sigaction(kSignal, &nothing, nullptr) != 0) fail("sigaction SIGALRM");
  sigevent to_this_thread{};
  to_this_thread.sigev_notify = SIGEV_THREAD_ID;
  to_this_thread.sigev_signo = kSignal;
  to_this_thread._sigev_un._tid = ::gettid();
  if (::timer_create(CLOCK_MONOTONIC, &to_this_thread, &timer_) != 0) fail("timer_create");
  itimerspec period{};
  period.it_value.tv_nsec = period.it_interval.tv_nsec = nanoseconds(kPeriod).count();
  if (::timer_settime(timer_, 0, &period, nullptr) != 0) fail("timer_settime");
}

// Leaves the handler: a last signal may be on its way.
Nudge::~Nudge() { ::timer_delete(timer_); }

sigset_t Nudge::mask_for_sleep() {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  sigaddset(&mask, kSignal);
  return mask;
}

}  // namespace hostcall::daemon
