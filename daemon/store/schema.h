// Schema: the tables on disk with their version, how a new file comes into being, and how one of an older version
// becomes one of this.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

#include "daemon/store/sqlite.h"

namespace hostcall::daemon::store {

// "HCST": what PRAGMA application_id says of our files.
inline constexpr std::int64_t kApplicationId = 0x48435354;

// SQL that takes a database to the next version; step number i makes version i + 1 of version i.
using SchemaSteps = std::span<const char* const>;
// The steps to the present version, from an empty file on.
SchemaSteps schema_steps();

// The file can't be used as it is. The text has the path, what is wrong, and what to do.
class DamageError : public std::runtime_error {
 public:
  DamageError(const std::string& path, const std::string& what);
};

// Makes a new, empty store, which is there as a whole and on the disk, or not at all. Throws std::runtime_error.
void create_store_file(const std::string& path);

// Looks at the file without SQLite: throws DamageError for what SQLite would take for a new, empty database. False:
// there is no such file, nor anything left of one.
[[nodiscard]] bool store_file_exists(const std::string& path);

// Throws DamageError when the database is not ours, and std::runtime_error when it is of a newer version.
void check_version(SqliteHandle& connection, const std::string& path, SchemaSteps steps);
// Does the steps that are missing, each in a transaction of its own.
void migrate(SqliteHandle& connection, SchemaSteps steps);

}  // namespace hostcall::daemon::store
