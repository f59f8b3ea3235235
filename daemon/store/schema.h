// Schema: the tables on disk and their version, the creation of a new file, and the migration of older versions.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

#include "daemon/store/sqlite.h"

namespace hostcall::daemon::store {

// "HCST": the value of PRAGMA application_id in our files.
inline constexpr std::int64_t kApplicationId = 0x48435354;

// SQL that migrates a database to the next version: step i turns version i into version i + 1.
using SchemaSteps = std::span<const char* const>;
// The steps from an empty file to the current version.
SchemaSteps schema_steps();

// The file can't be used as it is. The text names the path, the damage, and what to do.
class DamageError : public std::runtime_error {
 public:
  DamageError(const std::string& path, const std::string& what);
  // Only what is wrong: "it is empty".
  const std::string& damage() const { return damage_; }

 private:
  std::string damage_;
};

// Creates an empty store atomically: afterwards it is complete and on disk, or does not exist. Throws
// std::runtime_error.
void create_store_file(const std::string& path);

// Examines the file without SQLite: throws DamageError for a file that SQLite would take for a new, empty database.
// False: there is no such file, nor any remains of one.
[[nodiscard]] bool store_file_exists(const std::string& path);

// Throws DamageError if the database is not ours, and std::runtime_error if its version is newer than ours.
void check_version(SqliteHandle& connection, const std::string& path, SchemaSteps steps);
// Runs the missing steps, each in a transaction of its own.
void migrate(SqliteHandle& connection, SchemaSteps steps);

}  // namespace hostcall::daemon::store
