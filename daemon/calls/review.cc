#include "daemon/calls/review.h"

namespace hostcall::daemon {
namespace {

// What one turn spends: half a phase of a turn, because nobody waits for it.
constexpr Units kUnitsPerTurn = kPhaseUnits / 2;

}  // namespace

void Review::begin() {
  if (connections_.empty()) return;
  next_ = 0;
  last_ = connections_.rbegin()->first;
  calls_left_ = kAllCalls;
  running_ = true;
  reactor_.at_turn_end(*this);
}

void Review::on_turn_end() {
  step();
  if (running_) reactor_.at_turn_end(*this);
}

// Sessions may end between two steps, and within one.
void Review::step() {
  for (auto units = kUnitsPerTurn; units > 0;) {
    const auto at = connections_.lower_bound(next_);
    running_ = at != connections_.end() && at->first <= last_;
    if (!running_) return;
    if (at->first != next_) calls_left_ = kAllCalls;
    next_ = at->first;
    --units;
    if (!at->second->session().decide_calls_again(calls_left_, units)) continue;
    ++next_;
    calls_left_ = kAllCalls;
  }
}

}  // namespace hostcall::daemon
