#include "daemon/handover/notify.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "daemon/loop/descriptor_message.h"
#include "proto/net/socket.h"

namespace hostcall::daemon {
namespace {

// A descriptor or two at a time, which is more than anybody sends here.
using Room = DescriptorRoom<2>;

}  // namespace

Result<Notify> Notify::open(TimePoint deadline) {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr) return Error{0, "systemd has not started this process ($NOTIFY_SOCKET is not set)"};
  const auto address = HOSTCALL_TRY(net::Address::at_path(path));
  return Notify(HOSTCALL_TRY(net::connect_datagrams(address)), deadline);
}

Done Notify::wait_for(int fd, short event, const char* what) const {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline_ - Clock::now());
    pollfd waiting{fd, event, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::max(left.count(), milliseconds::rep{0})));
    if (ready > 0) return done();
    if (ready < 0 && errno != EINTR) return Error::from_errno(what);
    if (ready == 0) return Error{ETIMEDOUT, what};
  }
}

Done Notify::send(const std::string& text, std::span<const int> descriptors) const {
  iovec piece{const_cast<char*>(text.data()), text.size()};
  Room room;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  put_descriptors(descriptors, room.bytes, message);
  while (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Error::from_errno("notify systemd");
    HOSTCALL_TRY(wait_for(socket_.get(), POLLOUT, "notify systemd"));
  }
  return done();
}

// systemd closes the descriptor when it is that message's turn.
Done Notify::barrier() const {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error::from_errno("pipe");
  const auto kept = UniqueFd::adopt(ends[0]);
  auto sent = UniqueFd::adopt(ends[1]);
  const int fd = sent.get();
  HOSTCALL_TRY(send("BARRIER=1", std::span(&fd, 1)));
  sent.reset();
  return wait_for(kept.get(), 0, "wait for systemd");
}

}  // namespace hostcall::daemon
