#include "daemon/config/socket_keys.h"

#include <sys/stat.h>

#include <filesystem>

namespace hostcall::daemon {
namespace {

namespace fs = std::filesystem;

// The same number as the kernel follows.
constexpr int kMaxLinks = 40;

std::string directory_key(const fs::path& directory) {
  std::error_code error;
  auto place = fs::weakly_canonical(directory, error);
  if (error) place = directory.lexically_normal();
  std::string missing;
  struct stat status {};
  while (::stat(place.c_str(), &status) != 0) {
    if (place == place.parent_path()) return place.string() + missing;
    missing = "/" + place.filename().string() + missing;
    place = place.parent_path();
  }
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) + missing;
}

}  // namespace

std::string behind_links(const std::string& path) {
  std::error_code error;
  fs::path place(path);
  for (int i = 0; i < kMaxLinks && fs::is_symlink(fs::symlink_status(place, error)); ++i) {
    const auto target = fs::read_symlink(place, error);
    if (error) break;
    place = place.parent_path() / target;  // an absolute target replaces it
  }
  return place.string();
}

std::string SocketKeys::key_of(const std::string& path) {
  if (path.empty() || path.starts_with('@')) return path;
  const fs::path socket(path);
  const auto [at, is_new] = directories_.try_emplace(socket.parent_path().string());
  if (is_new) at->second = directory_key(socket.parent_path());
  return at->second + "/" + socket.filename().string();
}

}  // namespace hostcall::daemon
