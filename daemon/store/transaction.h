// Transaction: every write is one. It has comparisons and two lists of operations, and runs one of the lists, all or
// nothing, at one revision. Outcome: its result.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/store/record.h"

namespace hostcall::daemon::store {

// Comparisons and operations of a transaction, including those that do not run.
inline constexpr std::size_t kMaxSteps = 128;
// Bytes of the values that a transaction writes and replaces, so that its events fit into one message.
inline constexpr std::size_t kMaxChangedBytes = 512 * 1024;
// Bytes of an idempotency key, and of a request's fingerprint.
inline constexpr std::size_t kMaxIdempotencyKey = 64;
// Bytes of the answers that are kept for one owner of idempotency keys; also the limit of a single answer.
inline constexpr std::size_t kMaxAnswerBytes = 256 * 1024;
// Answers that are kept for one owner.
inline constexpr std::size_t kMaxAnswers = 1024;

// How the key's actual value must relate to the given one.
enum class Relation : std::uint8_t { kEqual, kNotEqual, kGreater, kLess };

// A key that does not exist compares with a version and revisions of 0, and an empty value.
struct Compare {
  enum class Target : std::uint8_t { kVersion, kCreateRevision, kModRevision, kValue };
  std::string key;
  Relation relation = Relation::kEqual;
  Target target = Target::kVersion;
  std::int64_t number = 0;  // unless target is kValue
  std::string value;        // for kValue; compared byte by byte
};

struct Operation {
  enum class Kind : std::uint8_t { kGet, kPut, kDelete };
  Kind kind = Kind::kGet;
  std::string key;
  std::string value;                          // of a put
  Lifetime lifetime = Lifetime::kPersistent;  // of a put
};

enum class OutcomeCode : std::uint8_t {
  kDone,
  kInvalid,     // too many steps or bytes, two writes of one key, an impossible key
  kKeysLimit,   // over the writer's limits: nothing was done
  kBytesLimit,  //
  kKeyReused,   // the idempotency key belongs to another request
  kNoRoom,      // Transaction::accept has refused the outcome: nothing was done
  kDiskFull,    // nothing was done; a retry can succeed later
  kNoMemory,    // the same
  kDiskFailed,  // the outcome is unknown until the store is reopened
  kReadOnly,    // the disk failed earlier: nothing was done
};

struct OperationResult {
  Operation::Kind kind = Operation::Kind::kGet;
  // Get: the record found. Put or delete: the record replaced or deleted. Null: there was none.
  Ref record;
  // The store's as the operation has left it: the transaction's own once it or one before it has changed something.
  Revision revision = 0;
};

struct Outcome {
  OutcomeCode code = OutcomeCode::kDone;
  // Why the code is not kDone; may be shown to users.
  std::string reason;
  // The key that `reason` is about, by the store's name, which users must not see; empty: it is about none.
  std::string key;
  // Whether all comparisons held.
  bool succeeded = false;
  // The revision of the changes; if there were none, the store's revision.
  Revision revision = 0;
  // One for each operation that ran.
  std::vector<OperationResult> results;
  // With an idempotency key: the first outcome as encoded by encode(); all that a replay has.
  std::string answer;
  bool replayed = false;
  // It depends on no commit that is still to come.
  bool is_on_disk = false;
};

inline Outcome refused(OutcomeCode code, std::string reason, std::string key = {}) {
  return {.code = code, .reason = std::move(reason), .key = std::move(key)};
}

struct Idempotency {
  // Who owns the key: a VM's name; for the host, any text that is not a VM's name.
  std::string owner;
  std::string key;          // 1 to 64 bytes
  std::string fingerprint;  // of the request; at most 64 bytes
  // Encodes the outcome, to be kept for repetitions. Called once, on the thread of submit(), before the outcome is on
  // disk.
  std::function<std::string(const Outcome&)> encode;
};

struct OwnerLimits {
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;
};

struct Transaction {
  std::vector<Compare> compare;
  std::vector<Operation> then;
  std::vector<Operation> otherwise;
  // The VM that is charged for its writes below /shared/, and whose limits apply; empty: the host.
  std::string writer;
  // A transaction that raises the writer's usage above these limits is refused. None: usage is counted, but unlimited.
  std::optional<OwnerLimits> limits;
  // The holders of keys with these lifetimes (boot_holder() in engine.h; any unique text for a session). If empty, a
  // put with that lifetime is kInvalid.
  std::string boot_holder;
  std::string session_holder;
  std::optional<Idempotency> idempotency;
  // Asked once about an outcome that would be kDone, before anything is written and on the thread of submit(), unless
  // the ticket is gone. False: it can't be answered; the outcome is kNoRoom. May be empty.
  std::function<bool(const Outcome&)> accept;
};

// Whether it could change anything.
bool may_write(const Transaction& transaction);
// Whether it could put a key that lives as long as its session.
bool may_put_for_session(const Transaction& transaction);
// The memory that it takes, roughly.
std::size_t bytes_of(const Transaction& transaction);

}  // namespace hostcall::daemon::store
