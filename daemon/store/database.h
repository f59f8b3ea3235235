// Database: the store on disk. The starting thread opens and loads it; afterwards only the writer thread uses it.
#pragma once

#include <memory>
#include <string>

#include "daemon/store/batch.h"
#include "daemon/store/model.h"
#include "daemon/store/sqlite.h"

namespace hostcall::daemon::store {

struct [[nodiscard]] WriteResult {
  enum class Kind {
    kCommitted,
    kFull,      // nothing was written
    kNoMemory,  // the same, because SQLite had no memory
    kFailed,    // the outcome is unknown; the database must not be written again
  };
  Kind kind = Kind::kCommitted;
  std::string what;  // why it was not committed
};

class Database {
 public:
  // Opens the store, or creates it if there is none. `synchronous` is SQLite's setting: FULL, except in power-loss
  // tests. Throws DamageError or std::runtime_error, with a text for the operator.
  Database(const std::string& path, const std::string& synchronous);
  ~Database();

  // Fills an empty model. Throws DamageError.
  void load(Model& model);
  // Commits the batch.
  WriteResult write(const Batch& batch);

 private:
  struct Statements;
  void open();
  void empty_log();
  void load_keys(Model& model, Revision revision);
  void load_history(Model& model, Revision floor);
  void load_answers(Model& model);
  WriteResult try_to_write(const Batch& batch);
  void roll_back();
  void write_events(const Batch& batch);
  void write_compaction(const History::Unsaved& unsaved);
  void write_answers(const Batch& batch);

  const std::string path_;
  const std::string synchronous_;
  std::unique_ptr<SqliteHandle> connection_;
  std::unique_ptr<Statements> statements_;
  bool failed_ = false;
};

}  // namespace hostcall::daemon::store
