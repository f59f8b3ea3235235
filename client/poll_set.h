// PollSet: one descriptor that stays the same while the channel's sockets come and go, for owners with an event
// loop. Costs nothing until it is asked for. The only file of the client that knows epoll.
#pragma once

#include "proto/base/unique_fd.h"

namespace hostcall::client {

class PollSet {
 public:
  // Readable while a watched descriptor is ready. Made at the first call; -1: no descriptors are left.
  int fd();
  bool active() const { return static_cast<bool>(epoll_); }
  // Replaces the poll() bits `before` that fd is watched for by `wanted`; 0: not watched.
  void watch(int fd, short before, short wanted) const {
    if (before != wanted) change(fd, before, wanted);
  }

 private:
  void change(int fd, short before, short wanted) const;

  UniqueFd epoll_;
};

}  // namespace hostcall::client
