// Engine: what the Store service needs of a key/value store. Reads come from memory and never wait; a write is answered
// when it is on disk. LocalEngine keeps its own; one for a remote store (etcd) would hold a copy of its keys, fed by a
// watch, send transactions on, and answer them when the copy has their revision.
//
// All of it on one thread. Callbacks come from process() only, never from within another call, and may call the engine.
// Keys are "/vm/NAME/…" and "/shared/…", checked by the caller (key.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/store/record.h"
#include "daemon/store/transaction.h"
#include "daemon/store/watch.h"

namespace hostcall::daemon::store {

struct EngineStats {
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;  // keys and values
  Revision revision = 0;
  Revision compact_revision = 0;
  std::uint64_t commits = 0;       // since the start
  std::uint64_t transactions = 0;  // that changed something, since the start
  std::uint64_t watches = 0;
  std::uint64_t history_events = 0;
  std::uint64_t answers = 0;  // remembered for idempotency keys
  std::uint64_t queue = 0;    // transactions that wait for their commit
};

// Told what the operator must hear, from process().
class EngineOwner {
 public:
  // Writes are refused until on_disk_recovered().
  virtual void on_disk_full(const std::string& what) = 0;
  virtual void on_disk_recovered() = 0;
  // An alert, once: the store is read-only until it is opened again.
  virtual void on_disk_failed(const std::string& what) = 0;

 protected:
  ~EngineOwner() = default;
};

// A transaction on its way. Destroying it before the transaction is evaluated drops the transaction; afterwards its
// callback is forgotten, and the effect stays.
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
  // Looks at a record; false: enough.
  using Visit = std::function<bool(const Ref&)>;

  virtual ~Engine() = default;

  // Null: there is no such key.
  virtual Ref get(std::string_view key) const = 0;
  // Goes through what the prefix means, in order, from the first key greater than `after` (empty: from the first).
  virtual void scan(std::string_view prefix, std::string_view after, const Visit& visit) const = 0;
  virtual Revision revision() const = 0;
  virtual Usage usage(const std::string& owner) const = 0;
  // A transaction that may_write() not, answered at once; idempotency is not looked at.
  [[nodiscard]] virtual Outcome read(const Transaction& transaction) const = 0;

  // Transactions are done in the order in which they come. The callback comes once, unless the ticket is gone.
  [[nodiscard]] virtual std::unique_ptr<Ticket> submit(Transaction transaction, OnOutcome on_outcome) = 0;

  // Keys and values that a snapshot of the prefix would hold: to be charged before watch().
  virtual std::size_t snapshot_bytes(std::string_view prefix) const = 0;
  // Null: from_revision is in the future, above revision() + 1.
  [[nodiscard]] virtual std::unique_ptr<Watch> watch(const WatchOptions& options, Watcher& watcher) = 0;

  // Lifetimes. The keys go soon, as changes in steps of at most 128 keys; on a full disk as soon as that is over.
  virtual void end_session(const std::string& session_holder) = 0;
  // Ends all boots of the VM but this one.
  virtual void end_boots(const std::string& vm, const std::string& current_boot_id) = 0;
  // Deletes all keys below /vm/NAME/, and forgets the answers to its idempotency keys. `done` (may be empty): kDone,
  // or kDiskFailed or kReadOnly.
  virtual void purge(const std::string& vm, std::function<void(OutcomeCode)> done) = 0;

  // To be watched for reading; process() when it is readable.
  virtual int fd() const = 0;
  virtual void process() = 0;
  virtual EngineStats stats() const = 0;
};

}  // namespace hostcall::daemon::store
