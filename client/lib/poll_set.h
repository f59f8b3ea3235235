// PollSet: where the channel's sockets are watched for owners with an event loop, while they come and go: in a set of
// its own, one descriptor that stays the same, or in the owner's. Costs nothing until it is asked for. The only file of
// the client that knows epoll.
#pragma once

#include <cstdint>

#include "proto/base/unique_fd.h"

namespace hostcall::client {

class PollSet {
 public:
  // Readable while a watched descriptor is ready. Made at the first call; -1: no descriptors are left, or use() was
  // called.
  int fd();
  // Watches in an epoll set of the owner's, with `data` in the events. The set must outlive this. Only while not
  // active.
  void use(int epoll, std::uint64_t data) {
    set_ = epoll;
    data_ = data;
  }
  bool active() const { return set_ >= 0; }
  // Replaces the poll() bits `before` that fd is watched for by `wanted`; 0: not watched.
  void watch(int fd, short before, short wanted) const {
    if (before != wanted) watch_slow(fd, before, wanted);
  }

 private:
  void watch_slow(int fd, short before, short wanted) const;

  UniqueFd own_;
  int set_ = -1;  // own_, or the owner's
  std::uint64_t data_ = 0;
};

}  // namespace hostcall::client
