// TransientUnit: a program that systemd runs in a unit of its own. Signals of the bus are hints only, which any user of
// the host could send: what they mean is asked of systemd.
#pragma once

#include <cstdint>
#include <string>

#include "daemon/runner/bus.h"
#include "daemon/runner/program_host.h"
#include "daemon/runner/unit_message.h"
#include "daemon/runner/unit_state.h"

namespace hostcall::daemon {

class TransientUnit final : public HostedProgram, public TurnEnd {
 public:
  // Somebody must receive the signals of the bus and notify it of the unit's.
  TransientUnit(Reactor& reactor, Bus& bus, const std::string& service, UnitSpec spec, HostObserver& observer);
  // Stops the unit if it has not ended.
  ~TransientUnit() override;

  // One that waits for an earlier one is sent once, however often it comes, as the kernel does it.
  void send_signal(int signal) override;
  void kill() override;
  void on_turn_end() override;

 private:
  enum class State { kStarting, kRunning, kOver };

  void start(const UnitSpec& spec);
  void on_start_answer(BusMessage answer);
  void on_hint();
  void ask_state();
  void on_state_answer(BusMessage answer);
  void on_state(const UnitState& state);
  void on_end(const UnitState& state);
  void stop();
  void on_stop_answer(BusMessage answer);
  void send_next_signal();
  void on_signal_pause();
  void give_up(const wire::Status& status);
  void lose(const wire::Status& status);
  void finish();
  void tell_manager(const char* member, const char* mode = nullptr);
  Result<BusSlot> call_manager(const char* member, const std::function<int(sd_bus_message*)>& append,
                               BusHandler handler);

  Reactor& reactor_;
  Bus& bus_;
  const std::string service_, name_;
  const std::string path_;  // of the object on the bus
  HostObserver& observer_;
  State state_ = State::kStarting;
  bool is_ordered_ = false;  // systemd has the start job, or had it
  bool is_asking_ = false, asks_again_ = false;
  bool is_stopping_ = false, is_stopped_ = false;  // systemd has been told, and knows
  bool is_signalling_ = false;
  std::uint64_t waiting_signals_ = 0;  // a bit for each
  int failed_questions_ = 0, failed_stops_ = 0;
  wire::Status failure_;  // told at the end of a turn
  BusSlot start_slot_, state_slot_, stop_slot_, signal_slot_;
  Timer ask_timer_{reactor_, Callback::to<&TransientUnit::ask_state>(this)};
  Timer stop_timer_{reactor_, Callback::to<&TransientUnit::stop>(this)};
  Timer signal_timer_{reactor_, Callback::to<&TransientUnit::on_signal_pause>(this)};
};

}  // namespace hostcall::daemon
