#include "daemon/runner/kept_program.h"

#include <sys/socket.h>

#include <utility>

#include "proto/base/escape.h"
#include "proto/base/try_write.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Status;

// Whether the administrator must mend something, or it may work later.
Code code_of(int error) {
  switch (error) {
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE: return Code::kResourceExhausted;
    case E2BIG: return Code::kInvalidArgument;
    default: return Code::kFailedPrecondition;
  }
}

std::string step_name(KeeperReport::Step step) {
  switch (step) {
    case KeeperReport::Step::kDirectory: return "its directory";
    case KeeperReport::Step::kDescriptors: return "its descriptors";
    case KeeperReport::Step::kExec: return "exec";
    default: return "fork";
  }
}

}  // namespace

KeptProgram::KeptProgram(Reactor& reactor, std::string service, HostObserver& observer, std::function<void()> on_lost)
    : reactor_(reactor), service_(std::move(service)), observer_(observer), on_lost_(std::move(on_lost)) {}

KeptProgram::~KeptProgram() {
  reactor_.forget(*this);
  if (socket_) reactor_.remove(socket_.get());
}

std::optional<pid_t> KeptProgram::start(const KeptCommand& command) {
  path_ = command.command.front();
  auto keeper = start_keeper(command);
  if (keeper.ok()) {
    socket_ = std::move(keeper->socket);
    if (reactor_.add(socket_.get(), kReadable, *this).ok()) return keeper->pid;
    socket_.reset();
  }
  failed_ = {Code::kResourceExhausted, "the host has no room for another program", seconds(1)};
  reactor_.at_turn_end(*this);
  return keeper.ok() ? std::optional(keeper->pid) : std::nullopt;
}

void KeptProgram::on_turn_end() { observer_.on_lost(failed_); }

void KeptProgram::send_signal(int signal) { give(signal); }

void KeptProgram::kill() { give(kKeeperKills); }

// There is always room: hostcalld's signals are few, and a keeper that is slow has lost the wish to obey.
void KeptProgram::give(KeeperOrder order) const {
  if (!socket_) return;
  if (::send(socket_.get(), &order, sizeof order, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EAGAIN &&
      order == kKeeperKills)
    (void)::shutdown(socket_.get(), SHUT_WR);
}

void KeptProgram::on_io(std::uint32_t) {
  KeeperReport report;
  const auto got = ::recv(socket_.get(), &report, sizeof report, MSG_DONTWAIT);
  if (got == sizeof report) return on_report(report);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  finish([this] {
    on_lost_();
    observer_.on_lost({Code::kUnavailable,
                       "the program of service " + in_quotes(service_) + " was lost, and nobody knows how it ended"});
  });
}

void KeptProgram::on_report(const KeeperReport& report) {
  runner::Ended end;
  switch (report.kind) {
    case KeeperReport::Kind::kRunning: return observer_.on_running("pid " + std::to_string(report.value));
    case KeeperReport::Kind::kNotStarted: return finish([&] { on_not_started(report); });
    case KeeperReport::Kind::kEnded: end.set_exit_code(report.value); return finish([&] { observer_.on_gone(end); });
    case KeeperReport::Kind::kKilled: end.set_signal(report.value); return finish([&] { observer_.on_gone(end); });
  }
}

// The administrator gets the paths, the guest does not.
void KeptProgram::on_not_started(const KeeperReport& report) {
  const std::string why = std::strerror(report.value);
  try_to_say("hostcall-runner: service " + service_ + ": " + escape(path_) +
             " can't be started: " + step_name(report.step) + ": " + why + "\n");
  observer_.on_lost({code_of(report.value), "the program of service " + in_quotes(service_) +
                                                " can't be started: " + step_name(report.step) + ": " + why});
}

void KeptProgram::finish(const std::function<void()>& tell) {
  reactor_.remove(socket_.get());
  socket_.reset();
  tell();
}

}  // namespace hostcall::daemon
