// Work: shares out the reactor's turns, so that nobody who makes the daemon work delays others by more than a moment.
// Everybody has a Share: each VM, all administrators, all refused callers. Work costs units. A share that has used up
// its units waits in a queue, and all that wait get new units one after the other (deficit round robin). Whoever has
// units left need not queue, so a caller that asks little is served at once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proto/base/clock.h"
#include "proto/base/linked_list.h"

namespace hostcall::daemon {

// A unit is about a microsecond: a small call, or a few KiB that are copied. Those who spend know what their work
// costs.
using Units = std::int64_t;
// So many bytes are copied for a unit.
inline constexpr std::size_t kCopiedBytesPerUnit = 4096;
// So many of policy's rules are looked at for a unit.
inline constexpr std::size_t kRulesPerUnit = 16;

// What a share may spend before it is another's turn.
inline constexpr Units kShareUnits = 250;
// What all together may spend in one phase of a turn: input, waiting work, output.
inline constexpr Units kPhaseUnits = 500;
// A phase also ends after this time, because units cost more on some machines.
inline constexpr Duration kPhaseTime = std::chrono::microseconds(250);

// Has work that can wait. Stops waiting when it dies.
class Worker : private Linked {
 public:
  virtual ~Worker() = default;
  // Its share has units again. Work until Work::spend() says stop, and then Work::wait() again.
  virtual void work() = 0;

 protected:
  bool is_waiting() const { return is_linked(); }
  void stop_waiting() { unlink(); }

 private:
  friend class Work;
  friend class LinkedList<Worker>;
};

// Must outlive its workers' waiting.
class Share : private Linked {
 private:
  friend class Work;
  friend class LinkedList<Share>;
  Units left_ = kShareUnits;  // below zero: to be paid back
  std::uint64_t turn_ = 0;    // in which it got units last
  LinkedList<Worker> waiting_;
};

class Work {
 public:
  explicit Work(const TimeSource& time) : time_(time), looked_at_clock_(time.now()), phase_began_(looked_at_clock_) {}

  // Whether the share may work now. Otherwise wait().
  bool may_work(Share& share) {
    if (share.is_linked()) return false;  // nobody overtakes those who wait
    if (share.turn_ != turn_) refill(share);
    return share.left_ > 0 && phase_left_ > 0;
  }
  // Counts work that is done, whether or not there were units for it. False: stop now, and wait().
  bool spend(Share& share, Units units) {
    share.left_ -= units;
    phase_left_ -= units;
    if ((until_look_ -= units) <= 0) look_at_clock();
    return share.left_ > 0 && phase_left_ > 0;
  }
  // The worker's work() follows, in the order of those who wait on its share.
  void wait(Share& share, Worker& worker);

  // For the reactor.
  bool idle() const { return waiting_.empty(); }
  void begin_turn(TimePoint now) {
    ++turn_;
    looked_at_clock_ = now;
    begin_phase();
  }
  // It began at the last time that is known, at the latest, which costs no look at the clock.
  void begin_phase() {
    phase_left_ = kPhaseUnits;
    phase_began_ = looked_at_clock_;
    until_look_ = kLookUnits;
  }
  // A phase in which those who wait have their turns.
  void serve_waiting();

 private:
  // How often the clock is read.
  static constexpr Units kLookUnits = 16;

  void refill(Share& share);
  void serve(Share& share);
  void look_at_clock();

  const TimeSource& time_;
  std::uint64_t turn_ = 0;
  Units phase_left_ = kPhaseUnits;
  Units until_look_ = kLookUnits;
  TimePoint looked_at_clock_;  // what it showed
  TimePoint phase_began_;
  LinkedList<Share> waiting_;
  Share* serving_ = nullptr;  // the one that works now, which is not in the list
};

}  // namespace hostcall::daemon
