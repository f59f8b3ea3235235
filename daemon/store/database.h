// Database: the store on disk. The starting thread opens and loads it; afterwards only the writer thread uses it.
#pragma once

#include <memory>
#include <string>

#include "daemon/store/batch.h"
#include "daemon/store/copy.h"
#include "daemon/store/model.h"
#include "daemon/store/sqlite.h"
#include "proto/base/clock.h"

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
  // How long it took, and of that COMMIT, which writes the log and syncs it. Of a commit.
  Duration took{}, sync{};
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

  // Makes a copy of the store in a new file, in many steps, between which batches may be written; there is one copy at
  // a time. True: it is complete. Throws SqliteError or std::runtime_error; then the copy is over.
  bool copy_some(const std::string& file);
  // Gives the copy up, if there is one.
  void end_copy() { copy_.reset(); }

 private:
  struct Statements;
  void open();
  void empty_log();
  void load_keys(Model& model, Revision revision);
  void load_history(Model& model, Revision floor);
  void load_answers(Model& model);
  WriteResult write_or_make_room(const Batch& batch);
  WriteResult try_to_write(const Batch& batch);
  void roll_back();
  void write_events(const Batch& batch);
  void write_compaction(const History::Unsaved& unsaved);
  void write_answers(const Batch& batch);

  const std::string path_;
  const std::string synchronous_;
  std::unique_ptr<SqliteHandle> connection_;
  std::unique_ptr<Statements> statements_;
  std::unique_ptr<Copy> copy_;
  bool failed_ = false;
};

}  // namespace hostcall::daemon::store
