// Review: after policy has changed, decides all open calls again and ends those that it denies now, some in each turn.
// A stream that went on silently would hide from its reader what policy hides meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "daemon/calls/connection.h"
#include "daemon/loop/reactor.h"

namespace hostcall::daemon {

class Review final : private TurnEnd {
 public:
  using Connections = std::map<std::uint64_t, std::unique_ptr<Connection>>;

  // Both must outlive this.
  Review(Reactor& reactor, const Connections& connections) : reactor_(reactor), connections_(connections) {}
  ~Review() override { reactor_.forget(*this); }

  // The policy has changed: call it only when the last review is over, so that no call outlives a policy that denies
  // it. Or what VMs are by the same policy: a review that is running begins anew.
  void begin();
  bool is_running() const { return running_; }

 private:
  void on_turn_end() override;
  void step();

  Reactor& reactor_;
  const Connections& connections_;
  std::uint64_t next_ = 0;              // the session to look at next
  std::uint64_t last_ = 0;              // the newest of the sessions that were there when the policy changed
  std::size_t calls_left_ = kAllCalls;  // of that session
  bool running_ = false;
};

}  // namespace hostcall::daemon
