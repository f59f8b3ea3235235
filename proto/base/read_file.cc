#include "proto/base/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>

#include "proto/base/unique_fd.h"

namespace hostcall {
namespace {

constexpr std::size_t kPiece = 16 * 1024;

// What fstat(2) knows before anything is read.
Done check_status(int fd, const std::string& path, std::size_t max_bytes, FileKind kind) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return Error::from_errno(path + ": cannot be read");
  if (kind == FileKind::kRegular && !S_ISREG(status.st_mode)) return Error{0, path + ": is not a regular file"};
  if (S_ISREG(status.st_mode) && static_cast<std::uint64_t>(status.st_size) > max_bytes)
    return Error{0, path + ": has " + std::to_string(status.st_size) + " bytes; at most " + std::to_string(max_bytes) +
                        " are read"};
  return done();
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t max_bytes, FileKind kind) {
  // Without O_NONBLOCK, opening a FIFO waits before it can be refused.
  const int flags = O_RDONLY | O_CLOEXEC | (kind == FileKind::kRegular ? O_NONBLOCK : 0);
  const auto fd = UniqueFd::adopt(::open(path.c_str(), flags));
  if (!fd) return Error::from_errno(path + ": cannot be opened");
  HOSTCALL_TRY(check_status(fd.get(), path, max_bytes, kind));
  std::string text;
  for (;;) {
    // A file of /proc says that it has no bytes.
    const auto have = text.size();
    text.resize(have + std::min(kPiece, max_bytes - have) + 1);
    const auto got = ::read(fd.get(), text.data() + have, text.size() - have);
    text.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(path + ": cannot be read");
    if (got == 0) return text;
    if (text.size() > max_bytes)
      return Error{0, path + " is larger than the maximum of " + std::to_string(max_bytes) + " bytes"};
  }
}

}  // namespace hostcall
