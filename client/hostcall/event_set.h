// EventSet: the descriptors that a loop waits for, in an epoll set: the kernel looks at those that have changed alone.
// Far deadlines share a timerfd, which stays armed for many waits; a time-out of epoll_wait() starts and stops a kernel
// timer at each.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <span>

#include "proto/base/clock.h"
#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall::cli::guest {

class EventSet {
 public:
  // The data of others must differ from it.
  static constexpr std::uint64_t kAlarm = ~std::uint64_t{0};
  // Throws Failure: no descriptors are left.
  EventSet();

  // For those who add descriptors of their own.
  int fd() const { return set_.get(); }
  // Waits for these events of poll(2), which come with `data`; 0: for none, not even the end. `watched`: for which it
  // has waited so far, at first 0. Fails if the kernel can't watch the descriptor.
  Done want(int fd, short& watched, short wanted, std::uint64_t data) {
    return wanted == watched ? done() : change(fd, watched, wanted, data);
  }
  // What has happened, at the latest at the deadline. Valid until the next call.
  std::span<const epoll_event> wait(TimePoint deadline);

 private:
  Done change(int fd, short& watched, short wanted, std::uint64_t data);
  int time_until(TimePoint deadline);
  bool set_alarm(TimePoint deadline);
  void alarm_rang();

  UniqueFd set_, alarm_;
  TimePoint rings_at_ = kNever;  // kNever: not set
  std::array<epoll_event, 64> events_;
};

}  // namespace hostcall::cli::guest
