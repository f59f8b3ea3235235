#include "daemon/loop/work.h"

#include <algorithm>

namespace hostcall::daemon {

// Unused units are lost, debts stay.
void Work::refill(Share& share) {
  share.turn_ = turn_;
  share.left_ = std::min(kShareUnits, share.left_ + kShareUnits);
}

void Work::wait(Share& share, Worker& worker) {
  if (!worker.is_linked()) share.waiting_.push_back(worker);
  if (!share.is_linked() && &share != serving_) waiting_.push_back(share);
}

void Work::serve_waiting() {
  begin_phase();
  while (phase_left_ > 0) {
    auto* share = waiting_.pop_front();
    if (share == nullptr) return;
    refill(*share);
    serve(*share);
  }
}

void Work::serve(Share& share) {
  serving_ = &share;
  while (share.left_ > 0 && phase_left_ > 0) {
    auto* worker = share.waiting_.pop_front();
    if (worker == nullptr) break;
    // A worker that finds nothing to do has cost something too, and can't keep this loop from ending.
    spend(share, 1);
    worker->work();
  }
  serving_ = nullptr;
  if (!share.waiting_.empty()) waiting_.push_back(share);
}

void Work::look_at_clock() {
  until_look_ = kLookUnits;
  looked_at_clock_ = time_.now();
  if (looked_at_clock_ - phase_began_ >= kPhaseTime) phase_left_ = 0;
}

}  // namespace hostcall::daemon
