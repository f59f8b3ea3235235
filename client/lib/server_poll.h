// Poll: the descriptors of a server in one epoll set. The server library's only file that knows epoll.
#pragma once

#include <cstdint>

#include "proto/base/clock.h"
#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall::server {

// What a descriptor is watched for, or has.
inline constexpr std::uint32_t kReadable = 1;
inline constexpr std::uint32_t kWritable = 2;
inline constexpr std::uint32_t kGone = 4;  // closed by the peer in both directions, or broken; always watched for

// Is told when its descriptor is ready. Outlives the turn in which it stops watching.
class Watcher {
 public:
  virtual void on_ready(std::uint32_t events) = 0;

 protected:
  ~Watcher() = default;
};

class Poll {
 public:
  static Result<Poll> make();
  int fd() const { return set_.get(); }
  // Error: the kernel watches no more descriptors (ENOSPC, ENOMEM).
  Done add(int fd, std::uint32_t events, Watcher& watcher) const;
  void change(int fd, std::uint32_t events, Watcher& watcher) const;
  void remove(int fd) const;
  // Waits for at most `time` (negative: forever), or a signal, and tells the watchers of what is ready.
  void wait(milliseconds time) const;

 private:
  explicit Poll(UniqueFd set) : set_(std::move(set)) {}
  UniqueFd set_;
};

}  // namespace hostcall::server
