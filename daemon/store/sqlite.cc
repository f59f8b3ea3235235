#include "daemon/store/sqlite.h"

#include <sqlite3.h>

#include <cerrno>

namespace hostcall::daemon::store {
namespace {

std::string describe(sqlite3* connection, int code) {
  std::string what = connection == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(connection);
  return what + " (SQLite code " + std::to_string(connection == nullptr ? code : sqlite3_extended_errcode(connection)) +
         ")";
}

// A failed write leaves no complete commit behind, whatever its errno; but SQLite reports only ENOSPC as SQLITE_FULL. A
// failed sync is different: nobody knows what is on disk.
bool is_full_disk(sqlite3* connection, int code) {
  if ((code & 0xFF) == SQLITE_FULL) return true;
  return connection != nullptr && sqlite3_extended_errcode(connection) == SQLITE_IOERR_WRITE &&
         sqlite3_system_errno(connection) == EDQUOT;
}

bool is_damaged(int code) { return (code & 0xFF) == SQLITE_CORRUPT || (code & 0xFF) == SQLITE_NOTADB; }

}  // namespace

SqliteError::SqliteError(sqlite3* connection, int code)
    : std::runtime_error(describe(connection, code)),
      full_(is_full_disk(connection, code)),
      no_memory_((code & 0xFF) == SQLITE_NOMEM),
      damage_(is_damaged(code)),
      busy_((code & 0xFF) == SQLITE_BUSY) {}

SqliteHandle::SqliteHandle(const std::string& path) {
  // NOMUTEX: only one thread at a time uses the connection.
  const int code = sqlite3_open_v2(path.c_str(), &connection_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) {
    const SqliteError error(connection_, code);
    sqlite3_close(connection_);
    throw error;
  }
  sqlite3_db_config(connection_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(connection_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
}

SqliteHandle::~SqliteHandle() { sqlite3_close(connection_); }

void SqliteHandle::run(const std::string& sql) {
  if (const int code = sqlite3_exec(connection_, sql.c_str(), nullptr, nullptr, nullptr); code != SQLITE_OK)
    throw SqliteError(connection_, code);
}

std::int64_t SqliteHandle::integer(const std::string& sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.integer(0) : 0;
}

std::string SqliteHandle::text(const std::string& sql) {
  Statement statement(*this, sql);
  return statement.step() ? std::string(statement.bytes(0)) : std::string();
}

bool SqliteHandle::in_transaction() const { return sqlite3_get_autocommit(connection_) == 0; }

void SqliteHandle::keep_log_at_close() { sqlite3_db_config(connection_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr); }

SqliteBackup::SqliteBackup(SqliteHandle& target, SqliteHandle& source)
    : target_(target), backup_(sqlite3_backup_init(target.get(), "main", source.get(), "main")) {
  if (backup_ == nullptr) throw SqliteError(target.get(), sqlite3_errcode(target.get()));
}

SqliteBackup::~SqliteBackup() { sqlite3_backup_finish(backup_); }

bool SqliteBackup::step(int pages) {
  const int code = sqlite3_backup_step(backup_, pages);
  if (code != SQLITE_OK && code != SQLITE_DONE) throw SqliteError(target_.get(), code);
  return code == SQLITE_DONE;
}

Statement::Statement(SqliteHandle& connection, std::string_view sql) : connection_(connection.get()) {
  check(sqlite3_prepare_v3(connection_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                           &statement_, nullptr));
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::check(int code) {
  if (code != SQLITE_OK) throw SqliteError(connection_, code);
}

void Statement::bind_one(int index, std::int64_t value) { check(sqlite3_bind_int64(statement_, index, value)); }

void Statement::bind_one(int index, std::string_view text) {
  // SQLite would bind a null pointer as NULL, not as an empty blob.
  check(sqlite3_bind_blob64(statement_, index, text.empty() ? "" : text.data(), text.size(), SQLITE_STATIC));
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    const SqliteError error(connection_, code);
    sqlite3_reset(statement_);
    throw error;
  }
  sqlite3_reset(statement_);
  return false;
}

void Statement::run() {
  while (step()) continue;
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Statement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return {data == nullptr ? "" : data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

}  // namespace hostcall::daemon::store
