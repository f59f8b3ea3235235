#include "proto/base/write_file.h"

#include <fcntl.h>

#include <cstdio>
#include <filesystem>

#include "proto/base/unique_fd.h"

namespace hostcall {
namespace {

Done sync_directory_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  const auto directory = parent.empty() ? std::string(".") : parent.string();
  const auto fd = UniqueFd::adopt(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return Error::from_errno("sync " + directory);
  return done();
}

Done write_new_file(const std::string& unfinished, const std::string& path, std::string_view bytes, mode_t mode) {
  const auto fd =
      UniqueFd::adopt(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return Error::from_errno("create " + unfinished);
  if (const auto written = write_all(fd.get(), bytes); !written.ok())
    return Error{written.error().code, "write " + unfinished};
  return move_into_place(fd.get(), unfinished, path);
}

}  // namespace

Done write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Error::from_errno("write");
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return done();
}

Done move_into_place(int fd, const std::string& unfinished, const std::string& path) {
  if (::fsync(fd) != 0) return Error::from_errno("sync " + unfinished);
  if (std::rename(unfinished.c_str(), path.c_str()) != 0) return Error::from_errno("rename to " + path);
  // The rename itself is only on disk once its directory is.
  return sync_directory_of(path);
}

Done replace_file(const std::string& path, std::string_view bytes, mode_t mode) {
  const auto unfinished = path + ".new";
  auto written = write_new_file(unfinished, path, bytes, mode);
  if (!written.ok()) ::unlink(unfinished.c_str());
  return written;
}

}  // namespace hostcall
