#include "daemon/store/sweep.h"

#include <vector>

#include "daemon/store/evaluate.h"
#include "daemon/store/key.h"

namespace hostcall::daemon::store {
namespace {

bool is_swept(const Sweep& sweep, const Record& record) {
  switch (sweep.kind) {
    case Sweep::Kind::kVm: return vm_of(record.key()) == sweep.text;
    case Sweep::Kind::kSession: return record.lifetime() == Lifetime::kSession && record.holder() == sweep.text;
    case Sweep::Kind::kAllSessions: return record.lifetime() == Lifetime::kSession;
    case Sweep::Kind::kBoots:
      return record.lifetime() == Lifetime::kBoot && record.holder() != sweep.except &&
             record.holder().starts_with(sweep.text + '/');
  }
  return false;
}

// Collects the keys of one step.
class Step {
 public:
  Step(const Sweep& sweep, const State& state) : sweep_(sweep), state_(state) {}

  // Takes the record if it still exists and the sweep covers it. False: the step is full.
  bool offer(const Ref& record) {
    if (!is_swept(sweep_, *record) || state_.find(record->key()) != record) return true;
    bytes_ += record->value().size();
    if (found_.size() == kMaxSteps || (bytes_ > kMaxChangedBytes && !found_.empty())) return false;
    found_.insert(record);
    return true;
  }
  const Index& found() const { return found_; }

 private:
  const Sweep& sweep_;
  const State& state_;
  Index found_;
  std::size_t bytes_ = 0;
};

bool offer_below(const Sweep& sweep, const Model& model, Step& step) {
  bool room = true;
  model.scan(vm_prefix(sweep.text), {}, [&](const Ref& record) { return room = step.offer(record); });
  return room;
}

bool offer_held(const Sweep& sweep, const Model& model, Step& step) {
  const auto lifetime = sweep.kind == Sweep::Kind::kBoots ? Lifetime::kBoot : Lifetime::kSession;
  const std::string from = sweep.kind == Sweep::Kind::kBoots ? sweep.text + '/' : sweep.text;
  const auto& holders = model.holders();
  for (auto at = holders.lower_bound(HolderOrder::Point{lifetime, from}); at != holders.end(); ++at) {
    if ((*at)->lifetime() != lifetime || !(*at)->holder().starts_with(from)) break;
    if (!step.offer(*at)) return false;
  }
  return true;
}

}  // namespace

bool sweep_step(const Sweep& sweep, const Model& model, Draft& batch) {
  Step step(sweep, batch);
  const bool room = sweep.kind == Sweep::Kind::kVm ? offer_below(sweep, model, step) : offer_held(sweep, model, step);
  // The model does not have the writes of this batch yet.
  if (room)
    for (const auto& event : batch.events())
      if (!event.now->deleted() && !step.offer(event.now)) break;
  auto draft = Draft::on(batch);
  for (const auto& record : step.found()) draft.change(make_tombstone(record->key(), batch.revision() + 1), record);
  batch.absorb(draft);
  return !step.found().empty();
}

}  // namespace hostcall::daemon::store
