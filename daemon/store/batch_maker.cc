#include "daemon/store/batch_maker.h"

#include <algorithm>

#include "daemon/store/evaluate.h"
#include "daemon/store/key.h"

namespace hostcall::daemon::store {
namespace {

constexpr char kReadOnlyText[] = "the store is read-only since its disk failed";

// Whether the caller can be given the answer, which nothing is done for before.
bool accepts(const Transaction& transaction, const Outcome& outcome) {
  return !transaction.accept || transaction.accept(outcome);
}

Outcome no_room() { return refused(OutcomeCode::kNoRoom, "there is no room for the answer"); }

Outcome repeat(const KeptAnswer& answer, const Transaction& transaction) {
  if (answer.fingerprint != transaction.idempotency->fingerprint)
    return refused(OutcomeCode::kKeyReused, "the idempotency key stands for another request");
  Outcome outcome;
  outcome.answer = answer.bytes;
  outcome.replayed = true;
  return accepts(transaction, outcome) ? outcome : no_room();
}

// An earlier attempt may have been in the commit that failed.
Outcome read_only(const Transaction& transaction) {
  const char* of_earlier = transaction.idempotency
                               ? "; whether an earlier attempt with this idempotency key was written "
                                 "is known only after a restart of hostcalld"
                               : "";
  return refused(OutcomeCode::kReadOnly, std::string(kReadOnlyText) + of_earlier);
}

}  // namespace

Outcome BatchMaker::add(const Transaction& transaction) {
  ++added_;
  steps_ += transaction.compare.size() + std::max(transaction.then.size(), transaction.otherwise.size());
  if (!transaction.idempotency) return evaluate_new(transaction);
  const auto& [owner, key, fingerprint, encode] = *transaction.idempotency;
  if (const auto at = answers_by_key_.find({owner, key}); at != answers_by_key_.end())
    return repeat(*at->second, transaction);
  const auto kept = find_answer(owner, key);
  if (kept == nullptr) return evaluate_new(transaction);
  auto outcome = repeat(*kept, transaction);
  outcome.is_on_disk = true;
  return outcome;
}

// Null also if this batch forgets it.
KeptAnswerRef BatchMaker::find_answer(const std::string& owner, const std::string& key) const {
  auto kept = model_.answers().find(owner, key);
  const auto forgotten = forgotten_answers_.find(owner);
  const bool is_forgotten =
      kept != nullptr && forgotten != forgotten_answers_.end() && kept->number <= forgotten->second;
  return is_forgotten ? nullptr : kept;
}

Outcome BatchMaker::evaluate_new(const Transaction& transaction) {
  auto draft = Draft::on(draft_);
  auto outcome = evaluate(transaction, draft);
  if (outcome.code != OutcomeCode::kDone) return outcome;
  if (read_only_ && (!draft.events().empty() || transaction.idempotency)) return read_only(transaction);
  if (!accepts(transaction, outcome)) return no_room();
  if (transaction.idempotency) {
    // The answer is kept even if nothing changed: a repetition must be told that, too.
    const auto& [owner, key, fingerprint, encode] = *transaction.idempotency;
    outcome.answer = encode(outcome);
    if (outcome.answer.size() > kMaxAnswerBytes)
      return refused(OutcomeCode::kInvalid, "the answer has " + std::to_string(outcome.answer.size()) +
                                                " bytes, but with an idempotency key at most " +
                                                std::to_string(kMaxAnswerBytes) + " are allowed");
    answers_.push_back(
        std::make_shared<const KeptAnswer>(KeptAnswer{next_number_++, owner, key, fingerprint, outcome.answer}));
    answers_by_key_[{owner, key}] = answers_.back();
    bytes_ += outcome.answer.size();
  }
  const auto first = draft_.events().size();
  draft_.absorb(draft);
  count_bytes(first);
  return outcome;
}

bool BatchMaker::add(Sweep& sweep) {
  if (sweep.kind == Sweep::Kind::kVm) forget_answers(sweep);
  for (std::size_t step = 0; step < kMaxSweepSteps && !full(); ++step) {
    ++added_;
    const auto first = draft_.events().size();
    const auto looked_at = sweep.progress.looked_at;
    const bool more = sweep_step(sweep, model_, draft_);
    steps_ += sweep.progress.looked_at - looked_at;
    count_bytes(first);
    if (more) continue;
    if (sweep.kind == Sweep::Kind::kVm) end_purge(sweep.text);
    return true;
  }
  return false;
}

// At the first step, because an answer must not outlast what it tells of; also those of this batch so far.
void BatchMaker::forget_answers(Sweep& purge) {
  if (!purge.answers_until) purge.answers_until = next_number_ - 1;
  const auto until = *purge.answers_until;
  const auto is_gone = [&](const KeptAnswerRef& answer) {
    return answer->owner == purge.text && answer->number <= until;
  };
  std::erase_if(answers_, is_gone);
  std::erase_if(answers_by_key_, [&](const auto& answer) { return is_gone(answer.second); });
  if (!model_.answers().has_any(purge.text, until)) return;
  auto& forgotten = forgotten_answers_[purge.text];  // perhaps by another purge already
  forgotten = std::max(forgotten, until);
}

void BatchMaker::end_purge(const std::string& vm) {
  const auto is_of_vm = [&](const Event& event) { return vm_of(event.now->key()) == vm; };
  if (model_.history().bytes_of(vm_prefix(vm)) != 0 || std::ranges::any_of(draft_.events(), is_of_vm))
    purged_.push_back(vm);
}

// What a change frees is written over, too.
void BatchMaker::count_bytes(std::size_t first_event) {
  for (auto i = first_event; i < draft_.events().size(); ++i) bytes_ += draft_.events()[i].bytes();
}

Batch BatchMaker::take() const {
  Batch batch;
  batch.events = draft_.events();
  batch.answers = answers_;
  batch.forgotten_answers = forgotten_answers_;
  batch.purged = purged_;
  batch.stale_answers = model_.answers().stale();
  batch.history = model_.history().unsaved();
  batch.floor = model_.history().floor();
  batch.revision = draft_.revision();
  batch.keys = model_.index().size();
  for (const auto& [now, previous] : batch.events) {
    if (previous == nullptr) ++batch.keys;
    if (now->deleted()) --batch.keys;
  }
  return batch;
}

}  // namespace hostcall::daemon::store
