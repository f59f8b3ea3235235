// The small part of SQLite that the store needs: a connection, prepared statements, and errors that tell a full disk, a
// damaged file and a busy database apart.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_backup;
struct sqlite3_stmt;

namespace hostcall::daemon::store {

// All functions here throw it. It never leaves Database, except as a std::runtime_error at the start.
class SqliteError : public std::runtime_error {
 public:
  SqliteError(sqlite3* connection, int code);
  // Nothing was written; the write can succeed once there is room again.
  bool is_full() const { return full_; }
  // SQLite could not allocate what it needed.
  bool is_no_memory() const { return no_memory_; }
  // The file is damaged, or not a database.
  bool is_damage() const { return damage_; }
  // Another process has the database open.
  bool is_busy() const { return busy_; }

 private:
  bool full_;
  bool no_memory_;
  bool damage_;
  bool busy_;
};

class SqliteHandle {
 public:
  // Opens an existing file for reading and writing.
  explicit SqliteHandle(const std::string& path);
  // All statements must be gone.
  ~SqliteHandle();
  SqliteHandle(const SqliteHandle&) = delete;
  SqliteHandle& operator=(const SqliteHandle&) = delete;

  // Runs statements that have no parameters, and ignores their results.
  void run(const std::string& sql);
  // The first column of the statement's first row.
  std::int64_t integer(const std::string& sql);
  std::string text(const std::string& sql);
  // Whether a transaction is open; an error may have ended it.
  bool in_transaction() const;
  // Leaves the write-ahead log as it is when the connection closes.
  void keep_log_at_close();
  sqlite3* get() const { return connection_; }

 private:
  sqlite3* connection_ = nullptr;
};

// SQLite's backup: copies one database over another, page by page, while the source is written by its own connection.
class SqliteBackup {
 public:
  // Both must outlive it.
  SqliteBackup(SqliteHandle& target, SqliteHandle& source);
  ~SqliteBackup();
  SqliteBackup(const SqliteBackup&) = delete;
  SqliteBackup& operator=(const SqliteBackup&) = delete;

  // Copies so many pages. True: the target is whole.
  bool step(int pages);

 private:
  SqliteHandle& target_;
  sqlite3_backup* backup_;
};

// A prepared statement. Blobs and texts are bound without a copy: they must live until the row is stepped over.
class Statement {
 public:
  Statement(SqliteHandle& connection, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Binds all parameters, in order.
  template <class... Values>
  Statement& bind(const Values&... values) {
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }
  // Steps to the next row. False: there is none, and the statement can be used again.
  [[nodiscard]] bool step();
  // Runs a statement that returns no rows.
  void run();
  std::int64_t integer(int column) const;
  // A text or blob; valid until the next step().
  std::string_view bytes(int column) const;

 private:
  void bind_one(int index, std::int64_t value);
  void bind_one(int index, std::string_view text);
  void check(int code);
  sqlite3* connection_;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace hostcall::daemon::store
