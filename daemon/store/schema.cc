#include "daemon/store/schema.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "proto/base/unique_fd.h"
#include "proto/base/write_file.h"

namespace hostcall::daemon::store {
namespace {

// Keys, values and other texts from outside are blobs, so that SQLite compares them byte by byte. `lifetime` is the
// number of a Lifetime. history.id is revision << 8 | number within the revision. `meta` has one row; its `keys` is the
// number of rows in kv.
constexpr const char* kSteps[] = {
    R"(CREATE TABLE meta (
         id INTEGER PRIMARY KEY CHECK (id = 1),
         revision INTEGER NOT NULL, compact_revision INTEGER NOT NULL, keys INTEGER NOT NULL);
       INSERT INTO meta VALUES (1, 0, 0, 0);
       CREATE TABLE kv (
         key BLOB PRIMARY KEY, value BLOB NOT NULL, owner BLOB NOT NULL, holder BLOB NOT NULL, lifetime INTEGER NOT NULL,
         create_revision INTEGER NOT NULL, mod_revision INTEGER NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
       CREATE TABLE history (
         id INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL, owner BLOB NOT NULL, holder BLOB NOT NULL,
         lifetime INTEGER NOT NULL, create_revision INTEGER NOT NULL, version INTEGER NOT NULL, deleted INTEGER NOT NULL);
       CREATE TABLE idempotency (
         number INTEGER PRIMARY KEY, owner BLOB NOT NULL, key BLOB NOT NULL, fingerprint BLOB NOT NULL,
         answer BLOB NOT NULL);
       CREATE INDEX idempotency_owner ON idempotency (owner);)",
    // Each namespace is compacted by itself. meta.compact_revision is now that of namespaces without a row here.
    R"(CREATE TABLE compaction (
         space BLOB PRIMARY KEY, revision INTEGER NOT NULL, has_share INTEGER NOT NULL) WITHOUT ROWID;)",
};

constexpr std::string_view kMagic("SQLite format 3\0", 16);

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

void fill(const std::string& path) {
  SqliteHandle connection(path);
  connection.run("PRAGMA application_id=" + std::to_string(kApplicationId));
  migrate(connection, kSteps);
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::int64_t size_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_size : 0;
}

// SQLite would read the missing bytes as zeros. If there is a log, a checkpoint may have been interrupted in the middle
// of a page. The header holds the page size in two bytes; 1 means 65,536.
bool ends_in_page(const std::string& path, char high, char low) {
  const auto size = static_cast<unsigned char>(high) << 8 | static_cast<unsigned char>(low);
  return size > 1 && size_of(path) % size != 0 && size_of(path + "-wal") == 0;
}

}  // namespace

SchemaSteps schema_steps() { return kSteps; }

DamageError::DamageError(const std::string& path, const std::string& what)
    : std::runtime_error("the store " + path + " is damaged: " + what + "; restore " + path + " and " + path +
                         "-wal from a copy, or move both away to begin with an empty store"),
      damage_(what) {}

void create_store_file(const std::string& path) {
  const auto unfinished = path + ".new";
  for (const auto* suffix : {"", "-journal", "-wal"}) std::remove((unfinished + suffix).c_str());
  const auto fd = UniqueFd::adopt(::open(unfinished.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) fail("can't create the store " + unfinished);
  try {
    fill(unfinished);
  } catch (const SqliteError& error) {
    throw std::runtime_error("can't create the store " + unfinished + ": " + error.what());
  }
  if (const auto moved = move_into_place(fd.get(), unfinished, path); !moved.ok())
    throw std::runtime_error("can't create the store " + path + ": " + moved.error().message());
}

bool store_file_exists(const std::string& path) {
  const auto fd = UniqueFd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno != ENOENT) fail("can't open the store " + path);
  if (!fd) {
    if (exists(path + "-wal")) throw DamageError(path, "it is missing, but its write-ahead log is there");
    return false;
  }
  std::array<char, kMagic.size() + 2> header{};
  const auto got = ::pread(fd.get(), header.data(), header.size(), 0);
  if (got < 0) fail("can't read the store " + path);
  if (got == 0) throw DamageError(path, "it is empty");
  if (static_cast<std::size_t>(got) < header.size() ||
      !std::string_view(header.data(), header.size()).starts_with(kMagic))
    throw DamageError(path, "it is no SQLite database");
  if (ends_in_page(path, header[kMagic.size()], header[kMagic.size() + 1]))
    throw DamageError(path, "it ends in the middle of a page");
  return true;
}

void check_version(SqliteHandle& connection, const std::string& path, SchemaSteps steps) {
  if (connection.integer("PRAGMA application_id") != kApplicationId)
    throw DamageError(path, "it is a database of another application");
  const auto version = connection.integer("PRAGMA user_version");
  if (version <= 0) throw DamageError(path, "it has no schema version");
  if (version > static_cast<std::int64_t>(steps.size()))
    throw std::runtime_error("the store " + path + " has schema version " + std::to_string(version) +
                             ", but this hostcalld knows only those up to " + std::to_string(steps.size()) +
                             "; install the version of hostcall that wrote it, or a newer one");
}

void migrate(SqliteHandle& connection, SchemaSteps steps) {
  for (auto version = connection.integer("PRAGMA user_version"); version < static_cast<std::int64_t>(steps.size());
       ++version) {
    connection.run("BEGIN IMMEDIATE");
    connection.run(steps[static_cast<std::size_t>(version)]);
    connection.run("PRAGMA user_version=" + std::to_string(version + 1));
    connection.run("COMMIT");
  }
}

}  // namespace hostcall::daemon::store
