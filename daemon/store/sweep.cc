#include "daemon/store/sweep.h"

#include <algorithm>
#include <vector>

#include "daemon/store/evaluate.h"
#include "daemon/store/key.h"

namespace hostcall::daemon::store {
namespace {

// Whether the holder is one of those that the sweep looks through.
bool is_looked_through(const Sweep& sweep, std::string_view holder) {
  switch (sweep.kind) {
    case Sweep::Kind::kSession: return holder == sweep.text;
    case Sweep::Kind::kBoots: return holder.starts_with(sweep.text + '/');
    case Sweep::Kind::kVm:
    case Sweep::Kind::kAllSessions: break;
  }
  return true;
}

bool is_swept(const Sweep& sweep, const Record& record) {
  if (record.mod_revision() > sweep.until) return false;
  switch (sweep.kind) {
    case Sweep::Kind::kVm: return vm_of(record.key()) == sweep.text;
    case Sweep::Kind::kSession:
    case Sweep::Kind::kAllSessions:
      return record.lifetime() == Lifetime::kSession && is_looked_through(sweep, record.holder());
    case Sweep::Kind::kBoots:
      return record.lifetime() == Lifetime::kBoot && record.holder() != sweep.except &&
             is_looked_through(sweep, record.holder());
  }
  return false;
}

// Collects the keys of one step.
class Step {
 public:
  Step(Sweep& sweep, const State& state) : sweep_(sweep), state_(state) {}

  // Takes the record if it still exists and the sweep covers it. False: the step is full, and the record is not taken.
  bool offer(const Ref& record) {
    if (++looked_at_ > kMaxSweepLook) return false;
    ++sweep_.progress.looked_at;
    if (!is_swept(sweep_, *record) || state_.find(record->key()) != record) return true;
    bytes_ += record->value().size();
    if (found_.size() == kMaxSteps || (bytes_ > kMaxChangedBytes && !found_.empty())) return false;
    found_.insert(record);
    return true;
  }
  // The same for a record of the model, in its order.
  bool offer_of_model(const Ref& record) {
    if (!offer(record)) return false;
    sweep_.progress.last = record;
    return true;
  }
  const Index& found() const { return found_; }

 private:
  Sweep& sweep_;
  const State& state_;
  Index found_;
  std::size_t bytes_ = 0;
  std::size_t looked_at_ = 0;
};

// The model does not have the writes of this batch yet.
bool offer_events(Sweep& sweep, const Draft& batch, Step& step) {
  const auto& events = batch.events();
  for (auto& next = sweep.progress.events; next < events.size(); ++next)
    if (!events[next].now->deleted() && !step.offer(events[next].now)) return false;
  return true;
}

bool offer_below(const Sweep& sweep, const Model& model, Step& step) {
  const auto& last = sweep.progress.last;
  bool room = true;
  model.scan(vm_prefix(sweep.text), last == nullptr ? std::string_view() : last->key(),
             [&](const Ref& record) { return room = step.offer_of_model(record); });
  return room;
}

bool offer_held(const Sweep& sweep, const Model& model, Step& step) {
  const bool boots = sweep.kind == Sweep::Kind::kBoots;
  const auto lifetime = boots ? Lifetime::kBoot : Lifetime::kSession;
  const std::string from = boots ? sweep.text + '/' : sweep.text;
  const auto& holders = model.holders();
  const auto& last = sweep.progress.last;
  auto at = last == nullptr ? holders.lower_bound(HolderOrder::Point{lifetime, from}) : holders.upper_bound(last);
  while (at != holders.end() && (*at)->lifetime() == lifetime && is_looked_through(sweep, (*at)->holder())) {
    // The present boot's keys may be many.
    if (boots && (*at)->holder() == sweep.except)
      at = holders.lower_bound(HolderOrder::Point{lifetime, sweep.except + '\0'});
    else if (!step.offer_of_model(*at++))
      return false;
  }
  return true;
}

}  // namespace

bool sweep_step(Sweep& sweep, const Model& model, Draft& batch) {
  if (!sweep.until) sweep.until = batch.revision();
  Step step(sweep, batch);
  if (!sweep.progress.in_model) sweep.progress.in_model = offer_events(sweep, batch, step);
  const bool ends = sweep.progress.in_model &&
                    (sweep.kind == Sweep::Kind::kVm ? offer_below(sweep, model, step) : offer_held(sweep, model, step));
  auto draft = Draft::on(batch);
  for (const auto& record : step.found()) draft.change(make_tombstone(record->key(), batch.revision() + 1), record);
  batch.absorb(draft);
  return !ends;
}

void sweep_on(Sweep& sweep) {
  // The model has what the batch wrote before the sweep.
  sweep.progress.in_model = true;
}

void sweep_again(Sweep& sweep, const Model& model) {
  sweep.progress = {};
  // Later writes take the revisions and the numbers of those that have failed with the batch.
  sweep.until = std::min(sweep.until.value_or(model.revision()), model.revision());
  const auto last_answer = model.answers().next_number() - 1;
  sweep.answers_until = std::min(sweep.answers_until.value_or(last_answer), last_answer);
}

}  // namespace hostcall::daemon::store
