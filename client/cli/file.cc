// Files: see file.h.
#include "client/cli/file.h"

#include <fcntl.h>
#include <unistd.h>

#include "proto/base/unique_fd.h"

namespace hostcall::cli {

Result<std::string> read_file(const std::string& path) {
  const auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Error::from_errno("open " + path);
  std::string text;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno("read " + path);
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace hostcall::cli
