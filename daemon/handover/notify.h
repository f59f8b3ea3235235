// Messages to systemd's service manager over $NOTIFY_SOCKET, with descriptors and a time limit, which sd_notify(3) does
// not have: it waits as long as the socket is full.
#pragma once

#include <span>
#include <string>
#include <utility>

#include "proto/base/clock.h"
#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon {

class Notify {
 public:
  // An error if systemd has not started us ($NOTIFY_SOCKET). All waiting of this object ends at the deadline, with
  // ETIMEDOUT.
  static Result<Notify> open(TimePoint deadline);

  Done send(const std::string& text, std::span<const int> descriptors = {}) const;
  // Returns once systemd has handled all that was sent before.
  Done barrier() const;

 private:
  Notify(UniqueFd socket, TimePoint deadline) : socket_(std::move(socket)), deadline_(deadline) {}
  // Waits until poll(2) reports the event or a hang-up.
  Done wait_for(int fd, short event, const char* what) const;

  UniqueFd socket_;
  TimePoint deadline_;
};

}  // namespace hostcall::daemon
