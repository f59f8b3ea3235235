// PollSet: watches the channel's sockets, which come and go, for an owner with an event loop: in an epoll set of its
// own, behind one lasting descriptor, or in the owner's set. Inactive until asked for. The client's only file that
// knows epoll.
#pragma once

#include <cstdint>

#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall::client {

class PollSet {
 public:
  // Readable while a watched descriptor is ready. The first call creates the set. -1: no descriptors are left, or use()
  // was called.
  int fd();
  // Watches in the owner's epoll set, with `data` in the events. The set must outlive this object, which must not be
  // active yet.
  void use(int epoll, std::uint64_t data) {
    set_ = epoll;
    data_ = data;
  }
  bool active() const { return set_ >= 0; }
  // Changes the poll() events that fd is watched for from `before` to `wanted`; 0: not watched. Errors: the kernel
  // watches no more (ENOSPC: fs.epoll.max_user_watches; ENOMEM); nothing would wake the owner for this socket.
  Done watch(int fd, short before, short wanted) const {
    return before == wanted ? done() : watch_slow(fd, before, wanted);
  }

 private:
  Done watch_slow(int fd, short before, short wanted) const;

  UniqueFd own_;
  int set_ = -1;  // own_, or the owner's
  std::uint64_t data_ = 0;
};

}  // namespace hostcall::client
