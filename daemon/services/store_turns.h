// WatchTurns: watches that have something to send wait here for their turn. All of them together send only so much in a
// turn of the reactor, whatever is behind their prefixes, so that calls of others go on meanwhile.
#pragma once

#include <list>

#include "daemon/loop/reactor.h"

namespace hostcall::daemon {

// Something that sends in parts.
class WatchTurn {
 public:
  // Sends some, and takes its cost off `work`, which it may use up but should not exceed by far. True: there is more to
  // send, in another turn.
  virtual bool take_turn(std::size_t& work) = 0;

  // Set by WatchTurns.
  bool waits = false;
  std::list<WatchTurn*>::iterator place;

 protected:
  ~WatchTurn() = default;
};

class WatchTurns final : public TurnEnd {
 public:
  // Roughly the bytes that are built in a turn: some 250 us of work.
  static constexpr std::size_t kWork = 256 * 1024;

  explicit WatchTurns(Reactor& reactor) : reactor_(reactor) {}
  ~WatchTurns() override { reactor_.forget(*this); }

  // At the end of this turn, or of a later one if many wait. No-op if it waits already.
  void add(WatchTurn& watch);
  // Required before it dies.
  void remove(WatchTurn& watch);

 private:
  void on_turn_end() override;

  Reactor& reactor_;
  std::list<WatchTurn*> waiting_;
};

}  // namespace hostcall::daemon
