// Transaction: every write is one. Comparisons, then one list of operations or the other, all or nothing, at one
// revision; and its Outcome.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/store/record.h"

namespace hostcall::daemon::store {

// Of all comparisons and operations of a transaction, those not done too.
inline constexpr std::size_t kMaxSteps = 128;
// Of values written and replaced by a transaction, so that its events fit one message.
inline constexpr std::size_t kMaxChangedBytes = 512 * 1024;
// Of an idempotency key, and of a request's fingerprint.
inline constexpr std::size_t kMaxIdempotencyKey = 64;
// Of the answers that are remembered for one owner of idempotency keys; one alone may have no more.
inline constexpr std::size_t kMaxAnswerBytes = 256 * 1024;
// KeptAnswers that are remembered for one owner.
inline constexpr std::size_t kMaxAnswers = 1024;

// What must hold between what the key has and what is given.
enum class Relation : std::uint8_t { kEqual, kNotEqual, kGreater, kLess };

// A key that does not exist has version and revisions of 0, and an empty value.
struct Compare {
  enum class Target : std::uint8_t { kVersion, kCreateRevision, kModRevision, kValue };
  std::string key;
  Relation relation = Relation::kEqual;
  Target target = Target::kVersion;
  std::int64_t number = 0;  // not for kValue
  std::string value;        // for kValue; byte by byte
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
  kInvalid,     // too many steps, too many bytes, two writes of one key, no such key can be
  kKeysLimit,   // the writer's limits: nothing was done
  kBytesLimit,  //
  kKeyReused,   // the idempotency key stands for another request
  kDiskFull,    // nothing was done, and can be later
  kDiskFailed,  // the outcome is unknown until the store is opened again
  kReadOnly,    // the disk had failed before: nothing was done
};

struct OperationResult {
  Operation::Kind kind = Operation::Kind::kGet;
  // Of a get: the key; of a put or a delete: what was replaced or deleted. Null: there was none.
  Ref record;
};

struct Outcome {
  OutcomeCode code = OutcomeCode::kDone;
  // Why not kDone, to be shown.
  std::string reason;
  // Whether all comparisons held.
  bool succeeded = false;
  // Of the changes; if there were none: of the store.
  Revision revision = 0;
  // One for each operation that was done.
  std::vector<OperationResult> results;
  // With an idempotency key: what the encoder made of the first outcome; a replay has nothing but this.
  std::string answer;
  bool replayed = false;
};

inline Outcome refused(OutcomeCode code, std::string reason) { return {.code = code, .reason = std::move(reason)}; }

struct Idempotency {
  // Whose keys these are: the VM; any text that no VM has for the host.
  std::string owner;
  std::string key;          // 1 to 64 bytes
  std::string fingerprint;  // of the request; at most 64 bytes
  // The outcome as bytes, kept for a repetition. Called once, on the thread of submit(), before it is on disk.
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
  // The VM that is charged for what it writes below /shared/, and whose limits hold; empty: the host.
  std::string writer;
  // A transaction that makes the writer's usage grow beyond is refused. None: unlimited, but counted.
  std::optional<OwnerLimits> limits;
  // Whom keys with such lifetimes belong to (boot_holder() in engine.h; any unique text for a session). Empty: a put
  // with such a lifetime is kInvalid.
  std::string boot_holder;
  std::string session_holder;
  std::optional<Idempotency> idempotency;
};

// Whether it could change something.
bool may_write(const Transaction& transaction);
// What it holds in memory, about.
std::size_t bytes_of(const Transaction& transaction);

}  // namespace hostcall::daemon::store
