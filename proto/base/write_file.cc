#include "proto/base/write_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "proto/base/unique_fd.h"

namespace hostcall {
namespace {

Done rename_file(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) return Error::from_errno("rename to " + to);
  return done();
}

Done fill_and_move(int fd, const std::string& unfinished, const std::string& path, std::string_view bytes,
                   Durability durability) {
  if (const auto written = write_all(fd, bytes); !written.ok())
    return Error{written.error().code, "write " + unfinished};
  return durability == Durability::kSynced ? move_into_place(fd, unfinished, path) : rename_file(unfinished, path);
}

}  // namespace

Done sync_directory_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  const auto directory = parent.empty() ? std::string(".") : parent.string();
  const auto fd = UniqueFd::adopt(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return Error::from_errno("sync " + directory);
  return done();
}

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
  HOSTCALL_TRY(rename_file(unfinished, path));
  // The rename itself is only on disk once its directory is.
  return sync_directory_of(path);
}

Done replace_file(const std::string& path, std::string_view bytes, mode_t mode, Durability durability) {
  const auto unfinished = path + ".new";
  const auto fd =
      UniqueFd::adopt(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return Error::from_errno("create " + unfinished);
  auto written = fill_and_move(fd.get(), unfinished, path, bytes, durability);
  if (!written.ok()) ::unlink(unfinished.c_str());
  return written;
}

Done remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return Error::from_errno("remove " + path);
  return done();
}

Done make_directory(const std::string& path, mode_t mode, Durability durability) {
  if (::mkdir(path.c_str(), mode) != 0) {
    if (errno == EEXIST) return done();
    return Error::from_errno("make the directory " + path);
  }
  // The umask has cleared bits.
  if (::chmod(path.c_str(), mode) != 0) return Error::from_errno("chmod " + path);
  return durability == Durability::kSynced ? sync_directory_of(path) : done();
}

}  // namespace hostcall
