// Timer and Timers: the deadlines of a server's connections and calls.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "proto/base/clock.h"

namespace hostcall::server {

class Timer;

class Timers {
 public:
  // When the next timer is due; kNever: none is set.
  TimePoint due() const { return set_.empty() ? kNever : set_.begin()->first; }
  // Runs those that are due at `now`, not those that they set again.
  void run(TimePoint now);

 private:
  friend class Timer;
  std::multimap<TimePoint, Timer*> set_;
};

class Timer {
 public:
  // `timers` must outlive the time for which the timer is set.
  Timer(Timers& timers, std::function<void()> run) : timers_(timers), run_(std::move(run)) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  TimePoint deadline() const { return deadline_; }
  // kNever: cancels it.
  void set(TimePoint deadline) {
    if (deadline == deadline_) return;
    cancel();
    if (deadline == kNever) return;
    deadline_ = deadline;
    place_ = timers_.set_.emplace(deadline, this);
  }
  void cancel() {
    if (deadline_ == kNever) return;
    timers_.set_.erase(place_);
    deadline_ = kNever;
  }

 private:
  friend class Timers;
  Timers& timers_;
  std::function<void()> run_;  // may destroy the timer
  TimePoint deadline_ = kNever;
  std::multimap<TimePoint, Timer*>::iterator place_;
};

// A timer that sets itself again to a time that has passed waits for the next turn: only as many run as are due now.
inline void Timers::run(TimePoint now) {
  for (auto left = set_.size(); left != 0 && due() <= now; --left) {
    auto& timer = *set_.begin()->second;
    timer.cancel();
    const auto run = timer.run_;
    run();
  }
}

}  // namespace hostcall::server
