// PlainStore: what the store's transactions mean, written down as plainly as possible: a map, walked whenever something
// is to be known. For stores of a few keys, whose sweeps take one step.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/store/engine.h"
#include "daemon/store/key.h"

namespace hostcall::fuzz {

namespace store = daemon::store;

struct PlainItem {
  std::string value, owner, holder;
  store::Revision created = 0, modified = 0;
  std::int64_t version = 0;
  store::Lifetime lifetime = store::Lifetime::kPersistent;
  bool operator==(const PlainItem&) const = default;
};

inline std::optional<PlainItem> plain(const store::Ref& record) {
  if (record == nullptr) return std::nullopt;
  return PlainItem{.value = std::string(record->value()),
                   .owner = std::string(record->owner()),
                   .holder = std::string(record->holder()),
                   .created = record->create_revision(),
                   .modified = record->mod_revision(),
                   .version = record->version(),
                   .lifetime = record->lifetime()};
}

struct PlainResult {
  store::Operation::Kind kind{};
  std::optional<PlainItem> found;
  store::Revision revision = 0;
  bool operator==(const PlainResult&) const = default;
};

struct PlainOutcome {
  store::OutcomeCode code = store::OutcomeCode::kDone;
  bool succeeded = false, replayed = false;
  store::Revision revision = 0;
  std::vector<PlainResult> results;
  std::string answer;
  bool operator==(const PlainOutcome&) const = default;
};

inline PlainOutcome plain(const store::Outcome& outcome) {
  PlainOutcome made{.code = outcome.code};
  // A refusal tells nothing else.
  if (outcome.code != store::OutcomeCode::kDone) return made;
  made.succeeded = outcome.succeeded;
  made.replayed = outcome.replayed;
  made.revision = outcome.revision;
  made.answer = outcome.answer;
  for (const auto& result : outcome.results)
    made.results.push_back({result.kind, plain(result.record), result.revision});
  return made;
}

class PlainStore {
 public:
  using Items = std::map<std::string, PlainItem>;

  const Items& items() const { return items_; }
  store::Revision revision() const { return revision_; }
  store::Usage usage(const std::string& owner) const {
    store::Usage used;
    for (const auto& [key, item] : items_)
      if (item.owner == owner) used.keys += 1, used.bytes += key.size() + item.value.size();
    return used;
  }

  PlainOutcome run(const store::Transaction& transaction) {
    const bool accepts = !transaction.accept || transaction.accept({});
    if (const auto* kept = find_answer(transaction)) {
      if (kept->fingerprint != transaction.idempotency->fingerprint) return {.code = store::OutcomeCode::kKeyReused};
      if (!accepts) return {.code = store::OutcomeCode::kNoRoom};
      return {.replayed = true, .answer = kept->bytes};
    }
    if (!is_valid(transaction)) return {.code = store::OutcomeCode::kInvalid};
    const auto before = *this;
    auto outcome = perform(transaction);
    if (outcome.code == store::OutcomeCode::kDone && !accepts) outcome = {.code = store::OutcomeCode::kNoRoom};
    if (outcome.code != store::OutcomeCode::kDone) {
      *this = before;
    } else if (const auto& idempotency = transaction.idempotency) {
      store::Outcome encoded;
      encoded.revision = outcome.revision;
      encoded.succeeded = outcome.succeeded;
      outcome.answer = idempotency->encode(encoded);
      answers_[{idempotency->owner, idempotency->key}] = {idempotency->fingerprint, outcome.answer};
    }
    return outcome;
  }

  void end_sessions() {
    sweep([](const auto&, const PlainItem& item) { return item.lifetime == kSession; });
  }
  void end_session(const std::string& holder) {
    sweep([&](const auto&, const PlainItem& item) { return item.lifetime == kSession && item.holder == holder; });
  }
  void end_boots(const std::string& vm, const std::string& current) {
    sweep([&](const auto&, const PlainItem& item) {
      return item.lifetime == store::Lifetime::kBoot && item.holder.starts_with(vm + "/") &&
             item.holder != store::boot_holder(vm, current);
    });
  }
  void purge(const std::string& vm) {
    sweep([&](const std::string& key, const auto&) { return key.starts_with("/vm/" + vm + "/"); });
    std::erase_if(answers_, [&](const auto& answer) { return answer.first.first == vm; });
  }

 private:
  using Kind = store::Operation::Kind;
  static constexpr auto kSession = store::Lifetime::kSession;
  struct Kept {
    std::string fingerprint, bytes;
  };

  const Kept* find_answer(const store::Transaction& transaction) const {
    if (!transaction.idempotency) return nullptr;
    const auto at = answers_.find({transaction.idempotency->owner, transaction.idempotency->key});
    return at == answers_.end() ? nullptr : &at->second;
  }

  static bool is_valid(const store::Transaction& transaction) {
    const auto& idempotency = transaction.idempotency;
    if (idempotency &&
        (idempotency->key.empty() || idempotency->key.size() > 64 || idempotency->fingerprint.size() > 64))
      return false;
    if (transaction.compare.size() + transaction.then.size() + transaction.otherwise.size() > 128) return false;
    return are_valid(transaction, transaction.then) && are_valid(transaction, transaction.otherwise);
  }
  static bool are_valid(const store::Transaction& transaction, const std::vector<store::Operation>& operations) {
    std::vector<std::string> written;
    for (const auto& [kind, key, value, lifetime] : operations) {
      if (store::namespace_of(key).empty()) return false;
      if (kind == Kind::kGet) continue;
      if (std::ranges::find(written, key) != written.end()) return false;
      written.push_back(key);
      if (kind != Kind::kPut || lifetime == store::Lifetime::kPersistent) continue;
      if (holder_of(transaction, lifetime).empty()) return false;
    }
    return true;
  }
  static std::string holder_of(const store::Transaction& transaction, store::Lifetime lifetime) {
    if (lifetime == store::Lifetime::kPersistent) return {};
    return lifetime == kSession ? transaction.session_holder : transaction.boot_holder;
  }

  std::optional<PlainItem> find(const std::string& key) const {
    const auto at = items_.find(key);
    return at == items_.end() ? std::nullopt : std::optional(at->second);
  }

  template <class T>
  static bool holds(store::Relation relation, const T& actual, const T& given) {
    switch (relation) {
      case store::Relation::kEqual: return actual == given;
      case store::Relation::kNotEqual: return actual != given;
      case store::Relation::kGreater: return actual > given;
      case store::Relation::kLess: return actual < given;
    }
    return false;
  }
  bool holds(const store::Compare& compare) const {
    using Target = store::Compare::Target;
    const auto item = find(compare.key).value_or(PlainItem{});
    if (compare.target == Target::kValue) return holds(compare.relation, item.value, compare.value);
    const auto number = compare.target == Target::kVersion          ? item.version
                        : compare.target == Target::kCreateRevision ? item.created
                                                                    : item.modified;
    return holds(compare.relation, number, compare.number);
  }

  PlainOutcome perform(const store::Transaction& transaction) {
    PlainOutcome outcome;
    outcome.succeeded = std::ranges::all_of(transaction.compare, [&](const auto& compare) { return holds(compare); });
    const auto old_usage = usage(transaction.writer);
    const auto next = revision_ + 1;
    std::size_t bytes = 0;
    bool changed = false;
    for (const auto& operation : outcome.succeeded ? transaction.then : transaction.otherwise) {
      const auto found = find(operation.key);
      if (operation.kind == Kind::kPut) items_[operation.key] = made_by(transaction, operation, found, next);
      if (operation.kind == Kind::kDelete) items_.erase(operation.key);
      if (operation.kind == Kind::kPut || (operation.kind == Kind::kDelete && found)) {
        changed = true;
        bytes += operation.value.size() + (found ? found->value.size() : 0);
      }
      outcome.results.push_back({operation.kind, found, changed ? next : revision_});
    }
    if (bytes > 512 * 1024) return {.code = store::OutcomeCode::kInvalid};
    if (const auto code = over_limits(transaction, old_usage); code != store::OutcomeCode::kDone) return {.code = code};
    if (changed) revision_ = next;
    outcome.revision = revision_;
    return outcome;
  }
  static PlainItem made_by(const store::Transaction& transaction, const store::Operation& put,
                           const std::optional<PlainItem>& found, store::Revision revision) {
    const std::string vm(store::vm_of(put.key));
    return {.value = put.value,
            .owner = vm.empty() ? transaction.writer : vm,
            .holder = holder_of(transaction, put.lifetime),
            .created = found ? found->created : revision,
            .modified = revision,
            .version = found ? found->version + 1 : 1,
            .lifetime = put.lifetime};
  }
  store::OutcomeCode over_limits(const store::Transaction& transaction, const store::Usage& old_usage) const {
    const auto& limits = transaction.limits;
    if (!limits) return store::OutcomeCode::kDone;
    const auto used = usage(transaction.writer);
    if (used.keys > std::max(limits->keys, old_usage.keys)) return store::OutcomeCode::kKeysLimit;
    if (used.bytes > std::max(limits->bytes, old_usage.bytes)) return store::OutcomeCode::kBytesLimit;
    return store::OutcomeCode::kDone;
  }

  template <class Swept>
  void sweep(Swept swept) {
    if (std::erase_if(items_, [&](const auto& item) { return swept(item.first, item.second); }) != 0) ++revision_;
  }

  Items items_;
  store::Revision revision_ = 0;
  std::map<std::pair<std::string, std::string>, Kept> answers_;
};

}  // namespace hostcall::fuzz
