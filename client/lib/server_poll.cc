#include "client/lib/server_poll.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <climits>
#include <utility>

#include "proto/base/standard_fds.h"

namespace hostcall::server {
namespace {

constexpr int kEventsPerTurn = 64;

epoll_event to_epoll(std::uint32_t events, Watcher& watcher) {
  epoll_event event{};
  if ((events & kReadable) != 0) event.events |= EPOLLIN;
  if ((events & kWritable) != 0) event.events |= EPOLLOUT;
  event.data.ptr = &watcher;
  return event;
}

std::uint32_t from_epoll(std::uint32_t events) {
  std::uint32_t out = 0;
  if ((events & EPOLLIN) != 0) out |= kReadable;
  if ((events & EPOLLOUT) != 0) out |= kWritable;
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) out |= kGone;
  return out;
}

}  // namespace

Result<Poll> Poll::make() {
  return Poll(HOSTCALL_TRY(adopt_above_standard_fds(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")));
}

Done Poll::add(int fd, std::uint32_t events, Watcher& watcher) const {
  auto event = to_epoll(events, watcher);
  if (::epoll_ctl(set_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return done();
  return Error::from_errno("can't watch a socket: epoll_ctl");
}

void Poll::change(int fd, std::uint32_t events, Watcher& watcher) const {
  auto event = to_epoll(events, watcher);
  ::epoll_ctl(set_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Poll::remove(int fd) const { ::epoll_ctl(set_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void Poll::wait(milliseconds time) const {
  std::array<epoll_event, kEventsPerTurn> events;
  const auto limit = time.count() < 0 ? -1 : static_cast<int>(std::min<milliseconds::rep>(time.count(), INT_MAX));
  const int count = ::epoll_wait(set_.get(), events.data(), kEventsPerTurn, limit);
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    static_cast<Watcher*>(event.data.ptr)->on_ready(from_epoll(event.events));
  }
}

}  // namespace hostcall::server
