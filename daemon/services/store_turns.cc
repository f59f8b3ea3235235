#include "daemon/services/store_turns.h"

namespace hostcall::daemon {

void WatchTurns::add(WatchTurn& watch) {
  if (watch.waits) return;
  watch.waits = true;
  watch.place = waiting_.insert(waiting_.end(), &watch);
  reactor_.at_turn_end(*this);
}

void WatchTurns::remove(WatchTurn& watch) {
  if (!watch.waits) return;
  watch.waits = false;
  waiting_.erase(watch.place);
}

void WatchTurns::on_turn_end() {
  auto work = kWork;
  while (!waiting_.empty() && work > 0) {
    auto& watch = *waiting_.front();
    remove(watch);
    if (watch.take_turn(work)) add(watch);
  }
  if (!waiting_.empty()) reactor_.at_turn_end(*this);
}

}  // namespace hostcall::daemon
