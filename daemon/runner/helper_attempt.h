// HelperAttempt: connects as another user: a unit of that user runs `hostcall-runner --connect`, which returns the
// socket.
#pragma once

#include <optional>
#include <string>

#include "daemon/runner/packet_channel.h"
#include "daemon/runner/transient_unit.h"

namespace hostcall::daemon {

class HelperAttempt final : public ConnectionAttempt,
                            public HostObserver,
                            public PacketChannelObserver,
                            public TurnEnd {
 public:
  // Of the unit, everything but the descriptors.
  HelperAttempt(Reactor& reactor, Bus& bus, const std::string& service, UnitSpec spec, AttemptObserver& observer);
  ~HelperAttempt() override { reactor_.forget(*this); }

  bool stop() override;
  void on_running(const std::string&) override {}
  void on_gone(const runner::Ended& end) override;
  void on_lost(const wire::Status& status) override;
  void on_packet(ReceivedPacket packet) override;
  // The unit's end tells more.
  void on_channel_closed(const std::string&) override {}
  void on_turn_end() override;

 private:
  void fail(const wire::Status& status);
  void note_gone();

  Reactor& reactor_;
  const std::string service_;
  AttemptObserver& observer_;
  bool is_over_ = false;     // the outcome is told, or of no interest
  bool is_gone_ = false;     // the unit
  bool is_stopped_ = false;  // by stop()
  std::optional<PacketChannel> channel_;
  std::optional<TransientUnit> unit_;
};

}  // namespace hostcall::daemon
