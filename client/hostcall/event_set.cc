// EventSet: see event_set.h.
#include "client/hostcall/event_set.h"

#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

#include "client/cli/exit_code.h"
#include "client/cli/wait.h"

namespace hostcall::cli::guest {

static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLERR == EPOLLERR && POLLHUP == EPOLLHUP);

namespace {

// Nearer deadlines are not worth the system call that sets the alarm.
constexpr int kAlarmFromMs = 100;

}  // namespace

EventSet::EventSet()
    : set_(UniqueFd::adopt(::epoll_create1(EPOLL_CLOEXEC))),
      alarm_(UniqueFd::adopt(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC))) {
  short watched = 0;
  if (!set_ || !alarm_ || !want(alarm_.get(), watched, POLLIN, kAlarm).ok())
    throw Failure{ExitCode::kUnreachable, Error::from_errno("an epoll set").message()};
}

Done EventSet::change(int fd, short& watched, short wanted, std::uint64_t data) {
  epoll_event event{};
  event.events = static_cast<std::uint32_t>(wanted);
  event.data.u64 = data;
  const int operation = watched == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (::epoll_ctl(set_.get(), operation, fd, &event) != 0) return Error::from_errno("epoll_ctl");
  watched = wanted;
  return done();
}

std::span<const epoll_event> EventSet::wait(TimePoint deadline) {
  const int count = ::epoll_wait(set_.get(), events_.data(), static_cast<int>(events_.size()), time_until(deadline));
  const auto came = std::span(events_).first(static_cast<std::size_t>(std::max(count, 0)));
  const auto alarm = std::ranges::find_if(came, [](const epoll_event& event) { return event.data.u64 == kAlarm; });
  if (alarm == came.end()) return came;
  alarm_rang();
  *alarm = came.back();
  return came.first(came.size() - 1);
}

int EventSet::time_until(TimePoint deadline) {
  if (deadline >= rings_at_) return -1;
  const int left = milliseconds_until(deadline);
  return left >= kAlarmFromMs && set_alarm(deadline) ? -1 : left;
}

bool EventSet::set_alarm(TimePoint deadline) {
  const nanoseconds since_boot = deadline.time_since_epoch();
  const auto whole = std::chrono::floor<seconds>(since_boot);
  const itimerspec when{.it_interval = {},
                        .it_value = {.tv_sec = whole.count(), .tv_nsec = (since_boot - whole).count()}};
  if (::timerfd_settime(alarm_.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0) return false;
  rings_at_ = deadline;
  return true;
}

// The next wait sets it again.
void EventSet::alarm_rang() {
  rings_at_ = kNever;
  std::uint64_t times = 0;
  [[maybe_unused]] const auto got = ::read(alarm_.get(), &times, sizeof times);
}

}  // namespace hostcall::cli::guest
