// The little of SQLite that the store needs: a connection, prepared statements, and errors with the three codes that
// tell a full disk from a broken one.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace hostcall::daemon::store {

// Thrown by all functions here; never leaves the store's Database but as a std::runtime_error at the start.
class SqliteError : public std::runtime_error {
 public:
  SqliteError(sqlite3* connection, int code);
  // Nothing was written, and can be when there is room again.
  bool is_full() const { return full_; }
  // The file is damaged, or no database.
  bool is_damage() const { return damage_; }
  // Another process has it open.
  bool is_busy() const { return busy_; }

 private:
  bool full_;
  bool damage_;
  bool busy_;
};

class SqliteHandle {
 public:
  // Opens a file that exists, for reading and writing.
  explicit SqliteHandle(const std::string& path);
  // Statements must be gone.
  ~SqliteHandle();
  SqliteHandle(const SqliteHandle&) = delete;
  SqliteHandle& operator=(const SqliteHandle&) = delete;

  // Statements without parameters and results that matter.
  void run(const std::string& sql);
  // The first column of the first row of what the statement gives.
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

// A prepared statement. Blobs and texts are bound without a copy: they must live until the row is stepped over.
class Statement {
 public:
  Statement(SqliteHandle& connection, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Parameters in their order.
  template <class... Values>
  Statement& bind(const Values&... values) {
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }
  // The next row; false: there is none, and the statement can be used again.
  [[nodiscard]] bool step();
  // For one without rows.
  void run();
  std::int64_t integer(int column) const;
  // Of a text or blob; until the next step().
  std::string_view bytes(int column) const;

 private:
  void bind_one(int index, std::int64_t value);
  void bind_one(int index, std::string_view text);
  void check(int code);
  sqlite3* connection_;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace hostcall::daemon::store
