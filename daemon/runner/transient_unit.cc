#include "daemon/runner/transient_unit.h"

#include <systemd/sd-bus.h>

#include <bit>
#include <utility>

#include "proto/base/escape.h"
#include "proto/base/try_write.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Status;

constexpr char kSystemd[] = "org.freedesktop.systemd1";
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr char kProperties[] = "org.freedesktop.DBus.Properties";
constexpr char kNoSuchUnit[] = "org.freedesktop.systemd1.NoSuchUnit";

constexpr int kMaxQuestions = 5;
constexpr milliseconds kAskPause{200};
constexpr int kMaxStops = 10;
constexpr seconds kStopPause{1};
// Each signal is work for systemd, which has to do more than that.
constexpr milliseconds kSignalPause{50};
constexpr int kSignals = 64;

}  // namespace

TransientUnit::TransientUnit(Reactor& reactor, Bus& bus, const std::string& service, UnitSpec spec,
                             HostObserver& observer)
    : reactor_(reactor),
      bus_(bus),
      service_(service),
      name_(spec.name),
      path_(unit_path(spec.name)),
      observer_(observer) {
  // Before the call, so that nothing is missed.
  bus_.listen(path_, [this] { on_hint(); });
  start(spec);
}

TransientUnit::~TransientUnit() {
  reactor_.forget(*this);
  if (state_ == State::kOver) return;
  // The call of kill() may not have been sent.
  if (!is_stopped_) tell_manager("StopUnit", "replace");
  finish();
}

Result<BusSlot> TransientUnit::call_manager(const char* member, const std::function<int(sd_bus_message*)>& append,
                                            BusHandler handler) {
  return bus_.call({kSystemd, kManagerPath, kManager, member}, append, std::move(handler));
}

void TransientUnit::tell_manager(const char* member, const char* mode) {
  bus_.tell({kSystemd, kManagerPath, kManager, member}, [&](sd_bus_message* message) {
    const int error = sd_bus_message_append(message, "s", name_.c_str());
    return error < 0 || mode == nullptr ? error : sd_bus_message_append(message, "s", mode);
  });
}

// ---------------------------------------------------------------- the start

void TransientUnit::start(const UnitSpec& spec) {
  auto call = call_manager(
      "StartTransientUnit", [&](sd_bus_message* message) { return append_start(message, spec); },
      [this](BusMessage answer) { on_start_answer(answer); });
  if (call.ok()) {
    start_slot_ = std::move(call).value();
    return;
  }
  try_to_say("hostcall-runner: service " + service_ + ": " + call.error().message() + "\n");
  lose({Code::kUnavailable, "the program of service " + in_quotes(service_) + " can't be started"});
}

// Its text is for the administrator.
void TransientUnit::on_start_answer(BusMessage answer) {
  const auto error = answer.error_name();
  if (error.empty()) {
    is_ordered_ = true;
    if (asks_again_) ask_state();
    return;
  }
  try_to_say("hostcall-runner: service " + service_ + ": systemd refuses the unit " + escape(name_) + ": " +
             escape_message(answer.error_text()) + " (" + escape_message(error) + ")\n");
  // A call without an answer may have been carried out.
  give_up({Code::kUnavailable, "systemd does not start the program of service " + in_quotes(service_)});
}

// ---------------------------------------------------------------- what has become of it

// Before systemd has the start job, nothing can have become of it: the signal is forged.
void TransientUnit::on_hint() {
  if (is_ordered_ && !is_asking_) return ask_state();
  asks_again_ = true;
}

// One question at a time, whatever comes.
void TransientUnit::ask_state() {
  if (state_ == State::kOver || !failure_.ok()) return;
  is_asking_ = true;
  asks_again_ = false;
  auto asked = bus_.call(
      {kSystemd, path_, kProperties, "GetAll"},
      [](sd_bus_message* message) { return sd_bus_message_append(message, "s", ""); },
      [this](BusMessage answer) { on_state_answer(answer); });
  if (asked.ok()) state_slot_ = std::move(asked).value();
}

void TransientUnit::on_state_answer(BusMessage answer) {
  if (state_ == State::kOver || !failure_.ok()) return;
  const auto state = read_unit_state(answer);
  if (state) {
    is_asking_ = false;
    failed_questions_ = 0;
    on_state(*state);
    if (asks_again_) ask_state();
  } else if (++failed_questions_ < kMaxQuestions) {
    ask_timer_.set(reactor_.now() + kAskPause);
  } else {
    give_up({Code::kUnavailable, "systemd has lost the program of service " + in_quotes(service_)});
  }
}

void TransientUnit::on_state(const UnitState& state) {
  if (state.is_over()) return on_end(state);
  if (state.active != "active" || state_ != State::kStarting) return;
  state_ = State::kRunning;
  observer_.on_running(name_);
}

void TransientUnit::on_end(const UnitState& state) {
  // The unit of another start of systemd is not the one that ran.
  if (state_ == State::kRunning && !state.has_main_process)
    return give_up({Code::kUnavailable, "systemd has lost the program of service " + in_quotes(service_)});
  const bool is_unannounced = state_ == State::kStarting;
  const bool is_lost = is_unannounced && !is_stopping_ && state.has_failed_to_start();
  finish();
  if (is_lost)
    return observer_.on_lost({Code::kFailedPrecondition, "the program of service " + in_quotes(service_) +
                                                             " can't be started: " + state.failed_step()});
  if (is_unannounced) observer_.on_running(name_);
  observer_.on_gone(state.end());
}

void TransientUnit::finish() {
  state_ = State::kOver;
  tell_manager("UnrefUnit");
  bus_.end_listening(path_);
  ask_timer_.cancel();
  stop_timer_.cancel();
  signal_timer_.cancel();
}

// Nobody knows what the program does: it is lost, but not before systemd stops it.
void TransientUnit::give_up(const Status& status) {
  if (is_stopped_) return lose(status);
  failure_ = status;
  kill();
}

// From within the constructor, nobody is told at once.
void TransientUnit::lose(const Status& status) {
  failure_ = status;
  reactor_.at_turn_end(*this);
}

void TransientUnit::on_turn_end() {
  if (state_ == State::kOver) return;
  finish();
  observer_.on_lost(failure_);
}

// ---------------------------------------------------------------- what it is told

void TransientUnit::send_signal(int signal) {
  if (state_ != State::kRunning || signal <= 0 || signal >= kSignals) return;
  waiting_signals_ |= std::uint64_t{1} << signal;
  send_next_signal();
}

void TransientUnit::send_next_signal() {
  if (is_signalling_ || waiting_signals_ == 0 || state_ != State::kRunning) return;
  const int signal = std::countr_zero(waiting_signals_);
  waiting_signals_ &= waiting_signals_ - 1;
  is_signalling_ = true;
  auto call = call_manager(
      "KillUnit",
      [&](sd_bus_message* message) { return sd_bus_message_append(message, "ssi", name_.c_str(), "main", signal); },
      // An error: it has ended meanwhile.
      [this](BusMessage) { signal_timer_.set(reactor_.now() + kSignalPause); });
  if (call.ok()) signal_slot_ = std::move(call).value();
}

void TransientUnit::on_signal_pause() {
  is_signalling_ = false;
  send_next_signal();
}

// systemd's own way: SIGTERM to the whole control group, SIGKILL after TimeoutStopUSec, whatever becomes of us.
void TransientUnit::kill() {
  if (state_ != State::kOver && !std::exchange(is_stopping_, true)) stop();
}

void TransientUnit::stop() {
  auto call = call_manager(
      "StopUnit",
      [this](sd_bus_message* message) { return sd_bus_message_append(message, "ss", name_.c_str(), "replace"); },
      [this](BusMessage answer) { on_stop_answer(answer); });
  if (call.ok()) stop_slot_ = std::move(call).value();
}

void TransientUnit::on_stop_answer(BusMessage answer) {
  if (state_ == State::kOver) return;
  const auto error = answer.error_name();
  is_stopped_ = error.empty() || error == kNoSuchUnit;
  if (!is_stopped_) {
    if (++failed_stops_ == kMaxStops)
      try_to_say("hostcall-runner: service " + service_ + ": systemd does not stop the unit " + escape(name_) + ": " +
                 escape_message(answer.error_text()) + " (" + escape_message(error) + ")\n");
    // Until it is stopped, it has its place among those that run.
    stop_timer_.set(reactor_.now() + kStopPause);
  } else if (!failure_.ok()) {
    lose(Status(failure_));
  } else if (error == kNoSuchUnit) {
    on_hint();
  }
}

}  // namespace hostcall::daemon
