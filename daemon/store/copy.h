// Copy: a copy of the store in a file of its own, as SQLite's backup interface makes it: page by page, so that commits
// go on in between. Pages that they change meanwhile are copied again.
#pragma once

#include <optional>
#include <string>

#include "daemon/store/sqlite.h"

namespace hostcall::daemon::store {

class Copy {
 public:
  // Creates the file. Throws SqliteError or std::runtime_error. `store` must outlive the copy; all runs on its thread.
  Copy(SqliteHandle& store, const std::string& path);

  // Copies some pages, less than a millisecond's. True: the copy is complete: one file, without a log. Throws
  // SqliteError.
  bool step();

 private:
  SqliteHandle target_;
  std::optional<SqliteBackup> backup_;
};

}  // namespace hostcall::daemon::store
