#include "daemon/store/batch_maker.h"

#include "daemon/store/evaluate.h"

namespace hostcall::daemon::store {
namespace {

Outcome repeat(const KeptAnswer& answer, const Idempotency& idempotency) {
  if (answer.fingerprint != idempotency.fingerprint)
    return refused(OutcomeCode::kKeyReused, "the idempotency key stands for another request");
  Outcome outcome;
  outcome.answer = answer.bytes;
  outcome.replayed = true;
  return outcome;
}

}  // namespace

KeptAnswerRef BatchMaker::find_answer(const Idempotency& idempotency) const {
  const auto at = answers_by_key_.find({idempotency.owner, idempotency.key});
  return at == answers_by_key_.end() ? model_.answers().find(idempotency.owner, idempotency.key) : at->second;
}

Outcome BatchMaker::add(const Transaction& transaction) {
  ++added_;
  if (transaction.idempotency)
    if (const auto answer = find_answer(*transaction.idempotency)) return repeat(*answer, *transaction.idempotency);
  return evaluate_new(transaction);
}

Outcome BatchMaker::evaluate_new(const Transaction& transaction) {
  auto draft = Draft::on(draft_);
  auto outcome = evaluate(transaction, draft);
  if (outcome.code != OutcomeCode::kDone) return outcome;
  if (read_only_ && (!draft.events().empty() || transaction.idempotency))
    return refused(OutcomeCode::kReadOnly, "the store is read-only since its disk failed");
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

bool BatchMaker::add(const Sweep& sweep) {
  while (!full()) {
    ++added_;
    const auto first = draft_.events().size();
    if (!sweep_step(sweep, model_, draft_)) {
      if (sweep.kind == Sweep::Kind::kVm && model_.answers().knows(sweep.text)) forgotten_owners_.push_back(sweep.text);
      return true;
    }
    count_bytes(first);
  }
  return false;
}

void BatchMaker::count_bytes(std::size_t first_event) {
  for (auto i = first_event; i < draft_.events().size(); ++i) bytes_ += draft_.events()[i].now->bytes();
}

Batch BatchMaker::take() const {
  Batch batch;
  batch.events = draft_.events();
  batch.answers = answers_;
  batch.forgotten_owners = forgotten_owners_;
  batch.stale_answers = model_.answers().stale();
  batch.compact_revision = model_.history().compact_revision();
  batch.revision = draft_.revision();
  batch.keys = model_.index().size();
  for (const auto& [now, previous] : batch.events) {
    if (previous == nullptr) ++batch.keys;
    if (now->deleted()) --batch.keys;
  }
  return batch;
}

}  // namespace hostcall::daemon::store
