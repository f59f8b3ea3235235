// ServiceCache: the services of services.d as the files say now. Reads them again only when a file or directory has
// changed, since each start asks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/config/service_file.h"

namespace hostcall::daemon {

class ServiceCache {
 public:
  // `clock`: in seconds, that of the files' changes; tests have their own.
  explicit ServiceCache(
      std::vector<std::string> directories, std::function<std::time_t()> clock = [] { return ::time(nullptr); })
      : directories_(std::move(directories)), clock_(std::move(clock)) {}

  const Services& current();

 private:
  // Of a file or directory. Equal: nobody has changed, replaced, or given it away since.
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    std::int64_t seconds = 0, nanoseconds = 0;  // of the last change
    bool operator==(const Stamp&) const = default;
  };
  using Stamps = std::vector<std::pair<std::string, Stamp>>;
  // Nothing: a directory can't be read.
  std::optional<Stamps> stamps() const;

  std::vector<std::string> directories_;
  std::function<std::time_t()> clock_;
  Services services_;
  std::optional<Stamps> read_at_;  // nothing: they must be read again
};

}  // namespace hostcall::daemon
