#include "proto/base/try_write.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace hostcall {

bool try_write(int fd, std::string_view bytes) {
  if (::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
  if (errno != ENOTSOCK) return false;
  // A pipe that poll() calls writable takes PIPE_BUF bytes.
  pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
  if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
  return ::write(fd, bytes.data(), bytes.size()) >= 0;
}

void try_to_say(std::string_view text) { static_cast<void>(try_write(STDERR_FILENO, text)); }

}  // namespace hostcall
