#include "daemon/store/evaluate.h"

#include <algorithm>
#include <compare>
#include <optional>
#include <set>

#include "daemon/store/key.h"

namespace hostcall::daemon::store {
namespace {

// Nothing: there is no objection.
using Objection = std::optional<Outcome>;

Objection invalid(std::string reason, const std::string& key = {}) {
  return refused(OutcomeCode::kInvalid, std::move(reason), key);
}

Objection check_put(const Transaction& transaction, const Operation& put) {
  if (put.lifetime == Lifetime::kBoot && transaction.boot_holder.empty())
    return invalid("can't live until the next boot: the session has no boot id", put.key);
  if (put.lifetime == Lifetime::kSession && transaction.session_holder.empty())
    return invalid("can't live until the session ends: there is no session", put.key);
  return std::nullopt;
}

Objection check_operations(const Transaction& transaction, const std::vector<Operation>& operations) {
  std::set<std::string_view> written;
  for (const auto& operation : operations) {
    if (namespace_of(operation.key).empty()) return invalid("is in no namespace", operation.key);
    if (operation.kind == Operation::Kind::kGet) continue;
    if (!written.insert(operation.key).second) return invalid("is written twice", operation.key);
    if (operation.kind != Operation::Kind::kPut) continue;
    if (auto objection = check_put(transaction, operation)) return objection;
  }
  return std::nullopt;
}

Objection check_idempotency(const Idempotency& idempotency) {
  const auto too_long = [](const std::string& text) { return text.size() > kMaxIdempotencyKey; };
  if (idempotency.key.empty() || too_long(idempotency.key) || too_long(idempotency.fingerprint))
    return invalid("an idempotency key has 1 to " + std::to_string(kMaxIdempotencyKey) + " bytes");
  return std::nullopt;
}

// Checks everything that needs no state: sizes, keys, lifetimes.
Objection check(const Transaction& transaction) {
  const auto steps = transaction.compare.size() + transaction.then.size() + transaction.otherwise.size();
  if (steps > kMaxSteps)
    return invalid(std::to_string(steps) + " comparisons and operations, but at most " + std::to_string(kMaxSteps) +
                   " are allowed");
  if (transaction.idempotency)
    if (auto objection = check_idempotency(*transaction.idempotency)) return objection;
  if (auto objection = check_operations(transaction, transaction.then)) return objection;
  return check_operations(transaction, transaction.otherwise);
}

bool holds(Relation relation, std::strong_ordering order) {
  switch (relation) {
    case Relation::kEqual: return order == 0;
    case Relation::kNotEqual: return order != 0;
    case Relation::kGreater: return order > 0;
    case Relation::kLess: return order < 0;
  }
  return false;
}

bool holds(const Compare& compare, const Ref& record) {
  const auto number = [&](auto member) { return record == nullptr ? 0 : ((*record).*member)(); };
  switch (compare.target) {
    case Compare::Target::kVersion: return holds(compare.relation, number(&Record::version) <=> compare.number);
    case Compare::Target::kCreateRevision:
      return holds(compare.relation, number(&Record::create_revision) <=> compare.number);
    case Compare::Target::kModRevision:
      return holds(compare.relation, number(&Record::mod_revision) <=> compare.number);
    case Compare::Target::kValue: break;
  }
  const auto value = record == nullptr ? std::string_view() : record->value();
  return holds(compare.relation, value <=> std::string_view(compare.value));
}

bool all_hold(const std::vector<Compare>& compares, const State& state) {
  for (const auto& compare : compares)
    if (!holds(compare, state.find(compare.key))) return false;
  return true;
}

std::string_view holder_of(const Transaction& transaction, Lifetime lifetime) {
  if (lifetime == Lifetime::kBoot) return transaction.boot_holder;
  return lifetime == Lifetime::kSession ? std::string_view(transaction.session_holder) : std::string_view();
}

Ref new_record(const Transaction& transaction, const Operation& put, const Ref& previous, Revision revision) {
  const auto vm = vm_of(put.key);
  return make_record({.key = put.key,
                      .value = put.value,
                      .owner = vm.empty() ? std::string_view(transaction.writer) : vm,
                      .holder = holder_of(transaction, put.lifetime),
                      .create_revision = previous == nullptr ? revision : previous->create_revision(),
                      .mod_revision = revision,
                      .version = previous == nullptr ? 1 : previous->version() + 1,
                      .lifetime = put.lifetime});
}

// Of a draft that one transaction has made so far.
Revision revision_after(const Draft& draft) { return draft.revision() + (draft.events().empty() ? 0 : 1); }

void perform(const Transaction& transaction, const Operation& operation, Draft& draft, Outcome& outcome) {
  auto found = draft.find(operation.key);
  auto& result = outcome.results.emplace_back(OperationResult{operation.kind, found});
  const auto revision = draft.revision() + 1;
  if (operation.kind == Operation::Kind::kPut) {
    auto now = new_record(transaction, operation, found, revision);
    draft.change(std::move(now), std::move(found));
  } else if (operation.kind == Operation::Kind::kDelete && found != nullptr) {
    draft.change(make_tombstone(operation.key, revision), std::move(found));
  }
  result.revision = revision_after(draft);
}

std::size_t changed_bytes(const Draft& draft) {
  std::size_t bytes = 0;
  for (const auto& event : draft.events())
    bytes += event.now->value().size() + (event.previous == nullptr ? 0 : event.previous->value().size());
  return bytes;
}

// A writer that is already over its limits, because they were lowered, may still make changes that do not add to its
// usage.
Objection over_limits(const Transaction& transaction, const Usage& before, const Usage& after) {
  if (!transaction.limits) return std::nullopt;
  const auto& limits = *transaction.limits;
  if (after.keys > limits.keys && after.keys > before.keys)
    return refused(OutcomeCode::kKeysLimit, "would have " + std::to_string(after.keys) + " keys, but at most " +
                                                std::to_string(limits.keys) + " are allowed");
  if (after.bytes > limits.bytes && after.bytes > before.bytes)
    return refused(OutcomeCode::kBytesLimit, "would have " + std::to_string(after.bytes) +
                                                 " bytes of keys and values, but at most " +
                                                 std::to_string(limits.bytes) + " are allowed");
  return std::nullopt;
}

bool has_writes(const std::vector<Operation>& operations) {
  for (const auto& operation : operations)
    if (operation.kind != Operation::Kind::kGet) return true;
  return false;
}

std::size_t bytes_of(const std::vector<Operation>& operations) {
  std::size_t bytes = 0;
  for (const auto& operation : operations) bytes += sizeof operation + operation.key.size() + operation.value.size();
  return bytes;
}

}  // namespace

bool may_write(const Transaction& transaction) {
  return has_writes(transaction.then) || has_writes(transaction.otherwise);
}

bool may_put_for_session(const Transaction& transaction) {
  const auto is_one = [](const Operation& operation) {
    return operation.kind == Operation::Kind::kPut && operation.lifetime == Lifetime::kSession;
  };
  return std::ranges::any_of(transaction.then, is_one) || std::ranges::any_of(transaction.otherwise, is_one);
}

std::size_t bytes_of(const Transaction& transaction) {
  std::size_t bytes = sizeof transaction + bytes_of(transaction.then) + bytes_of(transaction.otherwise);
  for (const auto& compare : transaction.compare) bytes += sizeof compare + compare.key.size() + compare.value.size();
  return bytes;
}

Ref make_tombstone(std::string_view key, Revision revision) {
  return make_record({.key = key, .value = {}, .owner = {}, .holder = {}, .mod_revision = revision, .deleted = true});
}

Outcome evaluate(const Transaction& transaction, Draft& draft) {
  if (auto objection = check(transaction)) return *std::move(objection);
  Outcome outcome;
  outcome.succeeded = all_hold(transaction.compare, draft);
  const auto before = draft.usage(transaction.writer);
  for (const auto& operation : outcome.succeeded ? transaction.then : transaction.otherwise)
    perform(transaction, operation, draft, outcome);
  if (changed_bytes(draft) > kMaxChangedBytes)
    return refused(OutcomeCode::kInvalid, std::to_string(changed_bytes(draft)) +
                                              " bytes of values written and replaced, but at most " +
                                              std::to_string(kMaxChangedBytes) + " are allowed");
  if (auto refusal = over_limits(transaction, before, draft.usage(transaction.writer))) return *refusal;
  outcome.revision = revision_after(draft);
  return outcome;
}

}  // namespace hostcall::daemon::store
