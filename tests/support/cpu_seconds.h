// The processor time of another process.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <stdexcept>

namespace hostcall::test {

// Seconds. The process's clock has the time of threads that have ended too, unlike what /proc says of each.
inline double cpu_seconds(pid_t process) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(process, &clock) != 0 || ::clock_gettime(clock, &time) != 0)
    throw std::runtime_error("the process has ended");
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace hostcall::test
