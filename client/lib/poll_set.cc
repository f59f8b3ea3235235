#include "client/lib/poll_set.h"

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "proto/base/standard_fds.h"

namespace hostcall::client {

int PollSet::fd() {
  if (!active()) {
    auto own = adopt_above_standard_fds(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    if (!own.ok()) return -1;
    own_ = std::move(*own);
    set_ = own_.get();
  }
  return own_.get();
}

// Slow path: the events have changed.
Done PollSet::watch_slow(int fd, short before, short wanted) const {
  // EPOLLIN and EPOLLOUT have the values of POLLIN and POLLOUT.
  epoll_event event{};
  event.events = static_cast<std::uint32_t>(wanted);
  event.data.u64 = data_;
  const int operation = before == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  if (::epoll_ctl(set_, operation, fd, &event) == 0) return done();
  return Error{errno, "can't watch the connection: epoll_ctl"};
}

}  // namespace hostcall::client
