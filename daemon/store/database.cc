#include "daemon/store/database.h"

#include <algorithm>
#include <unordered_map>

#include "daemon/store/key.h"
#include "daemon/store/schema.h"
#include "daemon/store/transaction.h"

namespace hostcall::daemon::store {
namespace {

// SQLite truncates a longer write-ahead log to this size.
constexpr auto kLogBytes = "PRAGMA journal_size_limit=16777216";
// The commit that makes the log longer than this many pages also checkpoints it, and everybody waits for that. Some 16
// MiB of log is a fair price for a checkpoint in only one of about 400 commits: with SQLite's default of 1,000 pages,
// it set the p99 of all writes.
constexpr auto kCheckpointPages = "PRAGMA wal_autocheckpoint=4000";
// The default of Debian's SQLite, ON, writes every freed page as zeros, which doubles what a purge writes. FAST does so
// only for pages that are written anyway.
constexpr auto kSecureDelete = "PRAGMA secure_delete=FAST";
// In KiB.
constexpr auto kCacheSize = "PRAGMA cache_size=-16384";

constexpr auto kSelectKeys =
    "SELECT key, value, owner, holder, lifetime, create_revision, mod_revision, version FROM kv ORDER BY key";
constexpr auto kSelectHistory =
    "SELECT id, key, value, owner, holder, lifetime, create_revision, version, deleted FROM history ORDER BY id";
constexpr auto kSelectCompactions = "SELECT space, revision, has_share FROM compaction";
constexpr auto kSelectAnswers = "SELECT number, owner, key, fingerprint, answer FROM idempotency ORDER BY number";

static_assert(kMaxSteps <= 1 << History::kNumberBits);

std::int64_t id_of(History::Position position) { return static_cast<std::int64_t>(position); }

Lifetime lifetime_of(std::int64_t number, const std::string& path) {
  if (number < 0 || number > static_cast<std::int64_t>(Lifetime::kSession))
    throw DamageError(path, "a key has lifetime " + std::to_string(number));
  return static_cast<Lifetime>(number);
}

std::int64_t number_of(Lifetime lifetime) { return static_cast<std::int64_t>(lifetime); }

// Before COMMIT, memory that is missing leaves nothing behind but the transaction to roll back. COMMIT may fail for it
// when its last page is in the log and synced already, so then nobody knows.
WriteResult::Kind kind_of(const SqliteError& error, bool committing) {
  if (error.is_full()) return WriteResult::Kind::kFull;
  return error.is_no_memory() && !committing ? WriteResult::Kind::kNoMemory : WriteResult::Kind::kFailed;
}

}  // namespace

struct Database::Statements {
  explicit Statements(SqliteHandle& connection)
      : begin(connection, "BEGIN IMMEDIATE"),
        commit(connection, "COMMIT"),
        roll_back(connection, "ROLLBACK"),
        put(connection, "INSERT OR REPLACE INTO kv VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
        remove(connection, "DELETE FROM kv WHERE key = ?1"),
        add_event(connection, "INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
        drop_event(connection, "DELETE FROM history WHERE id = ?1"),
        set_compaction(connection, "INSERT OR REPLACE INTO compaction VALUES (?1, ?2, ?3)"),
        forget_compaction(connection, "DELETE FROM compaction WHERE space = ?1"),
        add_answer(connection, "INSERT INTO idempotency VALUES (?1, ?2, ?3, ?4, ?5)"),
        remove_answer(connection, "DELETE FROM idempotency WHERE number = ?1"),
        forget_answers(connection, "DELETE FROM idempotency WHERE owner = ?1 AND number <= ?2"),
        finish(connection, "UPDATE meta SET revision = ?1, compact_revision = ?2, keys = ?3") {}
  Statement begin, commit, roll_back, put, remove, add_event, drop_event, set_compaction, forget_compaction, add_answer,
      remove_answer, forget_answers, finish;
};

Database::Database(const std::string& path, const std::string& synchronous) : path_(path), synchronous_(synchronous) {
  if (!store_file_exists(path)) create_store_file(path);
  try {
    open();
  } catch (const SqliteError& error) {
    if (error.is_damage()) throw DamageError(path, error.what());
    const std::string hint = error.is_busy() ? "; another process has it open: is hostcalld running already?" : "";
    throw std::runtime_error("can't open the store " + path + ": " + error.what() + hint);
  }
}

Database::~Database() {
  statements_.reset();
  copy_.reset();
  // After a failure, the log is the only record of what was written. The next start examines it.
  if (failed_) connection_->keep_log_at_close();
}

void Database::open() {
  connection_ = std::make_unique<SqliteHandle>(path_);
  // Set before the first read, so that SQLite never creates a shared-memory file.
  connection_->run("PRAGMA locking_mode=EXCLUSIVE");
  check_version(*connection_, path_, schema_steps());
  if (connection_->text("PRAGMA journal_mode=WAL") != "wal")
    throw std::runtime_error("the store " + path_ + " can't have a write-ahead log");
  connection_->run("PRAGMA synchronous=" + synchronous_);
  connection_->run(kLogBytes);
  connection_->run(kCheckpointPages);
  connection_->run(kCacheSize);
  connection_->run(kSecureDelete);
  connection_->run("PRAGMA temp_store=MEMORY");
  if (auto found = connection_->text("PRAGMA quick_check(1)"); found != "ok") {
    std::ranges::replace(found, '\n', ' ');
    throw DamageError(path_, found);
  }
  migrate(*connection_, schema_steps());
  empty_log();
  statements_ = std::make_unique<Statements>(*connection_);
}

// Checkpoints the log. Everything read from here on is on disk, even what an earlier sync failed to write.
void Database::empty_log() {
  try {
    connection_->run("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (const SqliteError& error) {
    // Reads and watches work on a full disk, too.
    if (!error.is_full()) throw;
  }
}

bool Database::copy_some(const std::string& file) {
  try {
    if (!copy_) copy_ = std::make_unique<Copy>(*connection_, file);
    if (!copy_->step()) return false;
  } catch (...) {
    copy_.reset();
    throw;
  }
  copy_.reset();
  return true;
}

void Database::load(Model& model) {
  try {
    Statement meta(*connection_, "SELECT revision, compact_revision, keys FROM meta");
    if (!meta.step()) throw DamageError(path_, "its table meta is empty");
    const auto revision = meta.integer(0);
    const auto floor = meta.integer(1);
    load_keys(model, revision);
    const auto keys = static_cast<std::int64_t>(model.index().size());
    if (keys != meta.integer(2))
      throw DamageError(path_,
                        "it has " + std::to_string(keys) + " keys, but should have " + std::to_string(meta.integer(2)));
    load_history(model, floor);
    load_answers(model);
    model.finish_restore(revision);
  } catch (const SqliteError& error) {
    if (error.is_no_memory()) throw std::runtime_error("can't load the store " + path_ + ": " + error.what());
    throw DamageError(path_, error.what());
  }
}

void Database::load_keys(Model& model, Revision revision) {
  Statement row(*connection_, kSelectKeys);
  while (row.step()) {
    const auto record = make_record({.key = row.bytes(0),
                                     .value = row.bytes(1),
                                     .owner = row.bytes(2),
                                     .holder = row.bytes(3),
                                     .create_revision = row.integer(5),
                                     .mod_revision = row.integer(6),
                                     .version = row.integer(7),
                                     .lifetime = lifetime_of(row.integer(4), path_)});
    if (namespace_of(record->key()).empty()) throw DamageError(path_, "a key is in no namespace");
    if (record->mod_revision() > revision) throw DamageError(path_, "a key is newer than the store's revision");
    model.restore(record);
  }
}

void Database::load_history(Model& model, Revision floor) {
  auto& history = model.history_to_restore();
  history.set_floor(floor);
  Statement compaction(*connection_, kSelectCompactions);
  while (compaction.step())
    history.restore_compaction(compaction.bytes(0), {compaction.integer(1), compaction.integer(2) != 0});
  Statement row(*connection_, kSelectHistory);
  std::unordered_map<std::string_view, Ref> latest;  // by key; the views point into the records
  while (row.step()) {
    const auto position = static_cast<History::Position>(row.integer(0));
    const auto revision = History::revision_of(position);
    auto now = model.find(row.bytes(1));
    if (now == nullptr || now->mod_revision() != revision)
      now = make_record({.key = row.bytes(1),
                         .value = row.bytes(2),
                         .owner = row.bytes(3),
                         .holder = row.bytes(4),
                         .create_revision = row.integer(6),
                         .mod_revision = revision,
                         .version = row.integer(7),
                         .lifetime = lifetime_of(row.integer(5), path_),
                         .deleted = row.integer(8) != 0});
    Ref previous;
    if (const auto at = latest.find(now->key()); at != latest.end()) {
      if (!at->second->deleted()) previous = at->second;
      latest.erase(at);
    }
    latest.emplace(now->key(), now);
    history.restore({now, previous}, position);
  }
}

void Database::load_answers(Model& model) {
  Statement row(*connection_, kSelectAnswers);
  while (row.step())
    model.restore_answer(std::make_shared<const KeptAnswer>(
        KeptAnswer{row.integer(0), std::string(row.bytes(1)), std::string(row.bytes(2)), std::string(row.bytes(3)),
                   std::string(row.bytes(4))}));
}

WriteResult Database::write(const Batch& batch) {
  const auto began = Clock::now();
  auto result = write_or_make_room(batch);
  result.took = Clock::now() - began;
  return result;
}

WriteResult Database::write_or_make_room(const Batch& batch) {
  auto result = try_to_write(batch);
  if (result.kind != WriteResult::Kind::kFull) return result;
  // The disk may lack room only for the log to grow. After a checkpoint, the log starts over.
  try {
    empty_log();
  } catch (const SqliteError& error) {
    if (error.is_no_memory()) return result;
    failed_ = true;
    return {WriteResult::Kind::kFailed, error.what(), {}, {}};
  }
  return try_to_write(batch);
}

WriteResult Database::try_to_write(const Batch& batch) {
  bool committing = false;
  try {
    statements_->begin.run();
    write_events(batch);
    write_answers(batch);
    write_compaction(batch.history);
    statements_->finish.bind(batch.revision, batch.floor, static_cast<std::int64_t>(batch.keys)).run();
    committing = true;
    const auto began = Clock::now();
    statements_->commit.run();
    return {.kind = WriteResult::Kind::kCommitted, .what = {}, .took = {}, .sync = Clock::now() - began};
  } catch (const SqliteError& error) {
    const auto kind = kind_of(error, committing);
    if (kind == WriteResult::Kind::kFailed) failed_ = true;
    roll_back();
    return {failed_ ? WriteResult::Kind::kFailed : kind, error.what(), {}, {}};
  }
}

void Database::roll_back() {
  try {
    if (connection_->in_transaction()) statements_->roll_back.run();
  } catch (const SqliteError&) {
    failed_ = true;
  }
}

void Database::write_events(const Batch& batch) {
  Revision revision = 0;
  std::int64_t number = 0;
  for (const auto& [now, previous] : batch.events) {
    number = now->mod_revision() == revision ? number + 1 : 0;
    revision = now->mod_revision();
    const auto& record = *now;
    const auto lifetime = number_of(record.lifetime());
    if (record.deleted())
      statements_->remove.bind(record.key()).run();
    else
      statements_->put
          .bind(record.key(), record.value(), record.owner(), record.holder(), lifetime, record.create_revision(),
                revision, record.version())
          .run();
    statements_->add_event
        .bind(id_of(History::position_of(revision)) + number, record.key(), record.value(), record.owner(),
              record.holder(), lifetime, record.create_revision(), record.version(), std::int64_t{record.deleted()})
        .run();
  }
}

void Database::write_compaction(const History::Unsaved& unsaved) {
  for (const auto position : unsaved.dropped) statements_->drop_event.bind(id_of(position)).run();
  for (const auto& [space, compaction] : unsaved.compactions)
    if (compaction)
      statements_->set_compaction.bind(space, compaction->revision, std::int64_t{compaction->has_share}).run();
    else
      statements_->forget_compaction.bind(space).run();
}

void Database::write_answers(const Batch& batch) {
  for (const auto number : batch.stale_answers) statements_->remove_answer.bind(number).run();
  for (const auto& [owner, until] : batch.forgotten_answers) statements_->forget_answers.bind(owner, until).run();
  for (const auto& answer : batch.answers)
    statements_->add_answer.bind(answer->number, answer->owner, answer->key, answer->fingerprint, answer->bytes).run();
}

}  // namespace hostcall::daemon::store
