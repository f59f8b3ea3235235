#include "daemon/runner/service_cache.h"

#include <sys/stat.h>

#include <algorithm>

#include "daemon/config/json_file.h"

namespace hostcall::daemon {
namespace {

// A change within the clock tick of the one before has the same time. So a file that has just changed is read again.
// One that has changed in the future, because the clock was set back, is not: the next change has another time.
constexpr std::int64_t kSettledSeconds = 2;

}  // namespace

std::optional<ServiceCache::Stamps> ServiceCache::stamps() const {
  Stamps stamps;
  const auto add = [&stamps](const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return;
    stamps.emplace_back(path, Stamp{status.st_dev, status.st_ino, status.st_ctim.tv_sec, status.st_ctim.tv_nsec});
  };
  try {
    for (const auto& directory : directories_) {
      add(directory);
      for (const auto& path : json_files(directory)) add(path);
    }
  } catch (const ConfigError&) {
    return std::nullopt;
  }
  return stamps;
}

const Services& ServiceCache::current() {
  // Before the files are read: a change meanwhile is noticed next time.
  auto now = stamps();
  if (now && now == read_at_) return services_;
  services_ = Services::read(directories_);
  const std::int64_t time = clock_();
  const auto is_settled = [time](const auto& stamp) {
    return stamp.second.seconds < time - kSettledSeconds || stamp.second.seconds > time + kSettledSeconds;
  };
  read_at_ = now && std::ranges::all_of(*now, is_settled) ? std::move(now) : std::nullopt;
  return services_;
}

}  // namespace hostcall::daemon
