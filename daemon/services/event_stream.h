// EventStream: an Events call. Sends what is kept, and then what comes if that is asked, as fast as the caller takes it
// and in turns with others. It keeps no events: one that is read too slowly is told how many it has lost.
#pragma once

#include <string>
#include <vector>

#include "daemon/calls/call.h"
#include "daemon/services/store_turns.h"
#include "daemon/vms/events.h"
#include "hostcall/v1/admin.pb.h"

namespace hostcall::daemon {

class EventStream final : public CallHandler, private EventFollower, private WatchTurn {
 public:
  // Both must outlive it.
  EventStream(Events& events, WatchTurns& turns, const v1::EventsRequest& request);
  ~EventStream() override { turns_.remove(*this); }

  // INVALID_ARGUMENT: which kind is unknown.
  static Status check(const v1::EventsRequest& request);

  void on_writable() override;
  void on_drain() override;

 private:
  void start() override { turns_.add(*this); }
  void on_event() override { turns_.add(*this); }
  bool take_turn(std::size_t& work) override;

  bool is_wanted(const Event& event) const;
  bool is_over(const Event* next) const { return !request_.follow() && (next == nullptr || next->number > last_); }
  bool fill(Events::Position& position, v1::EventsResponse& message, std::size_t& work);
  bool send(const v1::EventsResponse& message);
  void wait();

  Events& events_;
  WatchTurns& turns_;
  const v1::EventsRequest request_;
  const std::uint64_t last_;  // when the call came
  Events::Position position_;
  bool lost_before_ = false;  // to be told
  bool blocked_ = false;      // until on_writable()
  std::size_t unsent_bytes_ = 0;
};

}  // namespace hostcall::daemon
