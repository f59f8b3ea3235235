#include "proto/base/standard_fds.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdlib>

namespace hostcall {
namespace {

constexpr int kFirstOther = 3;

// The lowest free descriptor, which the caller knows to be free, becomes one that can only be used wrongly.
int open_useless(int fd) {
  const int opened = ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  return opened >= 0 ? opened : ::open("/", O_PATH);  // where there is no /dev
}

}  // namespace

void open_standard_fds() {
  for (int fd = 0; fd < kFirstOther; ++fd) {
    const bool is_closed = ::fcntl(fd, F_GETFD) < 0 && errno == EBADF;
    if (is_closed && open_useless(fd) != fd) std::abort();
  }
}

Result<UniqueFd> adopt_above_standard_fds(int fd, std::string_view what) {
  auto adopted = UniqueFd::adopt(fd);
  if (adopted && fd < kFirstOther) adopted = UniqueFd::adopt(::fcntl(fd, F_DUPFD_CLOEXEC, kFirstOther));
  if (!adopted) return Error::from_errno(std::string(what));
  return adopted;
}

}  // namespace hostcall
