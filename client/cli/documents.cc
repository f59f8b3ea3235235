// Documents: see documents.h.
#include "client/cli/documents.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "client/cli/exit_code.h"
#include "client/cli/wait.h"

namespace hostcall::cli {

std::string Documents::all(TimePoint deadline) {
  while (fd_ >= 0) {
    pollfd input{.fd = fd_, .events = POLLIN, .revents = 0};
    if (!wait_for({&input, 1}, deadline))
      throw Failure{ExitCode::kDeadline,
                    "standard input did not end before the deadline (--timeout); nothing was sent"};
    read_some();
  }
  return std::exchange(text_, {});
}

std::optional<std::string> Documents::next_line() {
  for (;;) {
    const auto end = text_.find('\n');
    if (end == std::string::npos && fd_ >= 0) return std::nullopt;  // the line may go on
    auto line = text_.substr(0, end);
    text_.erase(0, end == std::string::npos ? end : end + 1);
    if (line.find_first_not_of(" \t\r") != std::string::npos) return line;
    if (text_.empty()) return std::nullopt;
  }
}

void Documents::read_some() {
  char buffer[16 * 1024];
  const ssize_t got = ::read(fd_, buffer, sizeof buffer);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got < 0) throw Failure{ExitCode::kUnreachable, std::string("read standard input: ") + std::strerror(errno)};
  if (got == 0) fd_ = -1;
  text_.append(buffer, static_cast<std::size_t>(got));
}

}  // namespace hostcall::cli
