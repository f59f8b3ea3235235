// Engine: the interface between the Store service and a key/value store. Reads are served from memory and never wait; a
// write is answered when it is on disk. LocalEngine keeps a database of its own. An engine for a remote store (etcd)
// would hold a copy of its keys, updated by a watch, forward transactions, and answer them when the copy has reached
// their revision.
//
// All of it runs on one thread. Only process() calls callbacks, never from within another call; a callback may call the
// engine. Keys are "/vm/NAME/…" and "/shared/…"; the caller checks them (key.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/store/record.h"
#include "daemon/store/transaction.h"
#include "daemon/store/watch.h"
#include "proto/base/histogram.h"

namespace hostcall::daemon::store {

struct EngineStats {
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;  // keys and values
  Revision revision = 0;
  Revision compact_revision = 0;   // the highest of all namespaces
  std::uint64_t commits = 0;       // since the start
  std::uint64_t transactions = 0;  // since the start; only those that changed something
  std::uint64_t watches = 0;
  std::uint64_t history_events = 0;
  std::uint64_t answers = 0;       // kept for idempotency keys
  std::uint64_t queue = 0;         // transactions that wait for their commit
  DurationHistogram commit_times;  // of the writer's thread, its syncs included
  DurationHistogram sync_times;    // of SQLite's COMMIT, which writes the log and syncs it
};

// Receives what the operator must be told. Called from process().
class EngineOwner {
 public:
  // The last writes were refused for this reason. The next ones are tried all the same; the owner is told when they are
  // refused for another reason, or with on_disk_recovered() that they are not.
  virtual void on_disk_full(const std::string& what) = 0;
  virtual void on_no_memory(const std::string& what) = 0;
  virtual void on_disk_recovered() = 0;
  // An alert, raised once: the store is read-only until it is reopened.
  virtual void on_disk_failed(const std::string& what) = 0;

 protected:
  ~EngineOwner() = default;
};

// A submitted transaction. Destroying the ticket drops the transaction if it is not evaluated yet; afterwards, it drops
// only the callback, and the transaction takes effect.
class Ticket {
 public:
  virtual ~Ticket() = default;
};

// The holder of keys that live until the next boot of a VM.
inline std::string boot_holder(std::string_view vm, std::string_view boot_id) {
  return std::string(vm).append("/").append(boot_id);
}

class Engine {
 public:
  using OnOutcome = std::function<void(const Outcome&)>;
  // Visits a record; returns false to stop.
  using Visit = std::function<bool(const Ref&)>;

  virtual ~Engine() = default;

  // Null: there is no such key.
  virtual Ref get(std::string_view key) const = 0;
  // Visits the records that the prefix covers, in key order, from the first key greater than `after` (empty: from the
  // first).
  virtual void scan(std::string_view prefix, std::string_view after, const Visit& visit) const = 0;
  virtual Revision revision() const = 0;
  virtual Usage usage(const std::string& owner) const = 0;
  // What the history of a VM's keys and the answers to its idempotency keys take, bytes. They are bounded, but not by
  // the VM's limits.
  virtual std::size_t history_bytes(const std::string& vm) const = 0;
  // Evaluates a transaction for which may_write() is false, at once. Ignores idempotency.
  [[nodiscard]] virtual Outcome read(const Transaction& transaction) const = 0;

  // Transactions run in the order of submission. The callback is called once, unless the ticket is gone.
  [[nodiscard]] virtual std::unique_ptr<Ticket> submit(Transaction transaction, OnOutcome on_outcome) = 0;

  // Null: from_revision is in the future, above revision() + 1.
  [[nodiscard]] virtual std::unique_ptr<Watch> watch(const WatchOptions& options, Watcher& watcher) = 0;

  // End lifetimes. The keys are deleted soon, in steps of at most 128 keys, each a change of its own; on a full disk,
  // once there is room again.
  virtual void end_session(const std::string& session_holder) = 0;
  // Ends all boots of the VM except this one. What the VM writes after these calls is not deleted.
  virtual void end_boots(const std::string& vm, const std::string& current_boot_id) = 0;
  // Deletes all keys below /vm/NAME/, and forgets the answers to the VM's idempotency keys; its changes have no share
  // of the history any more. `done` (may be empty) gets kDone, kDiskFailed or kReadOnly.
  virtual void purge(const std::string& vm, std::function<void(OutcomeCode)> done) = 0;

  // Copies the store into a new file, as it is at some moment until `done`, which gets why there is no copy, or an
  // empty text. Writes go on meanwhile. An older file of the name is removed, and so is an unfinished copy. One copy at
  // a time. Destroying the ticket ends it, and drops the callback.
  using OnCopied = std::function<void(const std::string& error)>;
  [[nodiscard]] virtual std::unique_ptr<Ticket> copy_to(const std::string& file, OnCopied done) = 0;

  // Watch it for reading, and call process() when it is readable.
  virtual int fd() const = 0;
  virtual void process() = 0;
  virtual EngineStats stats() const = 0;
};

}  // namespace hostcall::daemon::store
