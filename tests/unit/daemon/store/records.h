// Shorthands for records and transactions in the store's tests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/store/evaluate.h"
#include "daemon/store/model.h"

namespace hostcall::daemon::store {

inline Operation put_of(std::string key, std::string value, Lifetime lifetime = Lifetime::kPersistent) {
  return {Operation::Kind::kPut, std::move(key), std::move(value), lifetime};
}
inline Operation delete_of(std::string key) { return {.kind = Operation::Kind::kDelete, .key = std::move(key)}; }
inline Operation get_of(std::string key) { return {.kind = Operation::Kind::kGet, .key = std::move(key)}; }

// A transaction of VM "a", in its boot "b1" and its session "s1", without limits.
inline Transaction of_vm_a(std::vector<Operation> operations) {
  Transaction transaction;
  transaction.then = std::move(operations);
  transaction.writer = "a";
  transaction.boot_holder = "a/b1";
  transaction.session_holder = "s1";
  return transaction;
}

// Limits of a history with room for so many events, whoever they are of.
inline HistoryLimits room_for_events(std::size_t events) {
  constexpr std::size_t kEvent = 1'000'000;
  return {.bytes = events * kEvent + kEvent / 2, .share = 0, .event_bytes = kEvent};
}

// Evaluates the transaction and, unless it is refused, commits it.
inline Outcome commit(Model& model, const Transaction& transaction) {
  auto draft = Draft::on(model);
  auto outcome = evaluate(transaction, draft);
  if (outcome.code != OutcomeCode::kDone || draft.events().empty()) return outcome;
  Batch batch;
  batch.events = draft.events();
  batch.revision = outcome.revision;
  model.apply(batch);
  return outcome;
}

inline std::string value_of(const State& state, std::string_view key) {
  const auto record = state.find(key);
  return record == nullptr ? "(none)" : std::string(record->value());
}

}  // namespace hostcall::daemon::store
