// What RunnerLink has asked the runner for. Included by runner_link.cc only.
#pragma once

#include <csignal>
#include <utility>
#include <vector>

#include "daemon/services/runner_link.h"
#include "handover/state.pb.h"

namespace hostcall::daemon {

// A request without its last answer.
class RunnerLink::Asked {
 public:
  Asked(RunnerLink& link, Duration time) : Asked(link, time, ++link.last_id_) {}
  Asked(RunnerLink& link, Duration time, std::uint64_t id)
      : link_(&link), id_(id), timer_(link.reactor_, Callback::to<&Asked::on_late>(this)) {
    link.asked_.emplace(id_, this);
    timer_.set(deadline_after(link.reactor_.now(), time));
  }
  virtual ~Asked() {
    if (link_ != nullptr) link_->cancel(id_);
  }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;

  std::uint64_t id() const { return id_; }
  // An answer. False: it is none to such a request.
  virtual bool on_reply(const runner::Reply& reply, std::vector<UniqueFd> descriptors) = 0;
  // Tells the observer, which may destroy this.
  void fail(const wire::Status& status) {
    end();
    on_failed(status);
  }

 protected:
  virtual void on_failed(const wire::Status& status) = 0;
  // No answer follows.
  void end() {
    timer_.cancel();
    if (auto* const link = std::exchange(link_, nullptr)) link->forget(id_);
  }
  void wait_forever() { timer_.cancel(); }
  RunnerLink* link() const { return link_; }

 private:
  void on_late() {
    link_->cancel(id_);
    link_ = nullptr;
    on_failed({wire::Code::kUnavailable, "hostcall-runner did not answer in time"});
  }

  RunnerLink* link_;  // null: it has been answered
  const std::uint64_t id_;
  Timer timer_;
};

// A status that the runner has sent.
wire::Status status_of(const runner::Failed& failed);

class RunnerLink::Program final : public RunningProgram, public RunnerLink::Asked {
 public:
  Program(RunnerLink& link, Duration time, ProgramObserver& observer) : Asked(link, time), observer_(observer) {}
  // One that another daemon has asked for.
  Program(RunnerLink& link, Duration time, ProgramObserver& observer, const handover::Program& place)
      : Asked(link, time, place.request()), observer_(observer), is_running_(place.is_running()) {
    if (is_running_) wait_forever();
  }

  void tell(handover::Program& place) const override {
    place.set_request(id());
    place.set_is_running(is_running_);
  }

  void send_signal(int signal) override {
    if (link() != nullptr && is_running_) link()->tell_signal(id(), signal);
  }
  bool on_reply(const runner::Reply& reply, std::vector<UniqueFd> descriptors) override;

 private:
  void on_failed(const wire::Status& status) override { observer_.on_failed(status); }

  ProgramObserver& observer_;
  bool is_running_ = false;
};

class RunnerLink::Attempt final : public Connecting, public RunnerLink::Asked {
 public:
  Attempt(RunnerLink& link, Duration time, ConnectObserver& observer) : Asked(link, time), observer_(observer) {}
  bool on_reply(const runner::Reply& reply, std::vector<UniqueFd> descriptors) override;

 private:
  void on_failed(const wire::Status& status) override { observer_.on_connect_failed(status); }

  ConnectObserver& observer_;
};

}  // namespace hostcall::daemon
