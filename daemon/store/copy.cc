#include "daemon/store/copy.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "proto/base/unique_fd.h"

namespace hostcall::daemon::store {
namespace {

// Of a step: 256 KiB.
constexpr int kPagesPerStep = 64;

// For SQLite, an empty file is an empty database.
const std::string& create(const std::string& path) {
  const auto file = UniqueFd::adopt(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) throw std::runtime_error("create " + path + ": " + std::strerror(errno));
  return path;
}

}  // namespace

Copy::Copy(SqliteHandle& store, const std::string& path) : target_(create(path)) {
  // Nobody needs the copy after a crash. Exclusive, because it shall have no shared-memory file.
  target_.run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF");
  backup_.emplace(target_, store);
}

bool Copy::step() {
  if (!backup_->step(kPagesPerStep)) return false;
  backup_.reset();
  // It has become a database with a log, as the store is.
  if (target_.text("PRAGMA journal_mode=DELETE") != "delete")
    throw std::runtime_error("the copy of the store can't do without a log");
  return true;
}

}  // namespace hostcall::daemon::store
