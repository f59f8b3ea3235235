// Input: see input.h.
#include "client/cli/input.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "client/cli/exit_code.h"
#include "client/cli/text.h"
#include "client/cli/wait.h"

namespace hostcall::cli {
namespace {

constexpr std::size_t kPiece = 16 * 1024;

std::string reason(int error) { return std::string(": ") + std::strerror(error); }

}  // namespace

Input Input::standard_input() { return Input(STDIN_FILENO, "standard input"); }

Input Input::file(const std::string& path) {
  if (path.empty()) throw usage("the name of a file is empty");
  Input input(-1, printable(path));
  // With O_NONBLOCK, a FIFO without a writer opens at once, and its first byte is waited for as any other's is.
  input.owned_ = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!input.owned_) throw usage(input.name_ + ": cannot be opened" + reason(errno));
  input.fd_ = input.owned_.get();
  return input;
}

void Input::read_some(std::string& text, std::size_t max) {
  const auto have = text.size();
  text.resize(have + std::min(kPiece, max + 1 - have));
  const ssize_t got = ::read(fd_, text.data() + have, text.size() - have);
  const int error = errno;
  text.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (got == 0) fd_ = -1;
  if (got < 0 && error != EINTR && error != EAGAIN)
    throw Failure{owned_ ? ExitCode::kUsage : ExitCode::kUnreachable, name_ + ": cannot be read" + reason(error)};
  if (text.size() > max) throw usage(name_ + " is larger than the maximum of " + std::to_string(max) + " bytes");
}

std::string Input::all(std::size_t max, TimePoint deadline) {
  std::string text;
  while (fd_ >= 0) {
    pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
    // A file that never runs dry, such as /dev/zero, is always readable.
    if (Clock::now() >= deadline || !wait_for({&readable, 1}, deadline))
      throw Failure{ExitCode::kDeadline, name_ + " did not end before the deadline (--timeout); nothing was sent"};
    read_some(text, max);
  }
  return text;
}

}  // namespace hostcall::cli
