#include "daemon/store/restore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <optional>
#include <stdexcept>

#include "daemon/store/schema.h"
#include "daemon/store/sqlite.h"
#include "proto/base/unique_fd.h"
#include "proto/base/write_file.h"

namespace hostcall::daemon::store {
namespace {

constexpr char kNothingChanged[] = "; the store is as it was";

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno) + kNothingChanged);
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

void remove_remains(const std::string& path) {
  for (const auto* suffix : {"", "-journal", "-wal"}) std::remove((path + suffix).c_str());
}

void write_whole(int to, const char* bytes, std::size_t size, const std::string& path) {
  while (size != 0) {
    const auto written = ::write(to, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write " + path);
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
}

void copy_whole(int from, int to, const std::string& path) {
  std::array<char, 64 * 1024> buffer;
  for (;;) {
    const auto got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read the copy");
    if (got == 0) return;
    write_whole(to, buffer.data(), static_cast<std::size_t>(got), path);
  }
}

// Throws std::runtime_error: what is wrong with it.
void check_copy(const std::string& path) {
  (void)store_file_exists(path);
  SqliteHandle connection(path);
  connection.run("PRAGMA locking_mode=EXCLUSIVE");
  check_version(connection, path, schema_steps());
  if (auto found = connection.text("PRAGMA integrity_check(1)"); found != "ok") {
    std::ranges::replace(found, '\n', ' ');
    throw std::runtime_error(found);
  }
  if (connection.integer("SELECT count(*) FROM meta") != 1) throw std::runtime_error("its table meta is not whole");
  if (connection.integer("SELECT count(*) = (SELECT keys FROM meta) FROM kv") != 1)
    throw std::runtime_error("it does not have all of its keys");
}

[[noreturn]] void refuse(const std::string& why) {
  throw std::runtime_error("the copy is no store that can be used: " + why + kNothingChanged);
}

// Holds the store for us, and writes its log into it, so that its one file is all of it. A damaged one is left as it
// is, and its log goes with it.
class OldStore {
 public:
  explicit OldStore(const std::string& path) {
    try {
      connection_.emplace(path);
      connection_->run("PRAGMA locking_mode=EXCLUSIVE; BEGIN IMMEDIATE; COMMIT; PRAGMA journal_mode=DELETE");
    } catch (const SqliteError& error) {
      if (error.is_busy())
        throw std::runtime_error("another process has the store " + path +
                                 " open; stop it first: systemctl stop hostcalld" + std::string(kNothingChanged));
      if (connection_) connection_->keep_log_at_close();
    }
  }

 private:
  std::optional<SqliteHandle> connection_;
};

std::string now_text() {
  const auto now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &utc);
  return text;
}

// The old store gets a second name, which it keeps. Its log must have no part in the new one.
void keep_old(const std::string& path, const std::string& kept) {
  if (::link(path.c_str(), kept.c_str()) != 0) fail("keep the old store as " + kept);
  const auto log = path + "-wal";
  if (exists(log) && ::rename(log.c_str(), (kept + "-wal").c_str()) != 0) fail("keep the log of the old store");
}

}  // namespace

std::string restore_store(int copy, const std::string& path) {
  const auto unfinished = path + ".restore";
  remove_remains(unfinished);
  const auto fd = UniqueFd::adopt(::open(unfinished.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) fail("create " + unfinished);
  try {
    copy_whole(copy, fd.get(), unfinished);
    try {
      check_copy(unfinished);
    } catch (const DamageError& error) {
      refuse(error.damage());
    } catch (const std::runtime_error& error) {
      refuse(error.what());
    }
    std::optional<OldStore> old;
    std::string kept;
    if (exists(path)) {
      old.emplace(path);
      kept = path + ".before-" + now_text();
      keep_old(path, kept);
    }
    if (const auto moved = move_into_place(fd.get(), unfinished, path); !moved.ok())
      throw std::runtime_error("put the copy into its place: " + moved.error().message());
    return kept;
  } catch (...) {
    remove_remains(unfinished);
    throw;
  }
}

}  // namespace hostcall::daemon::store
