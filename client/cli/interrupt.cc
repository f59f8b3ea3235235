// Interrupt: see interrupt.h.
#include "client/cli/interrupt.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

#include "client/cli/exit_code.h"
#include "client/cli/output.h"
#include "client/cli/wait.h"
#include "proto/base/result.h"

namespace hostcall::cli {
namespace {

bool is_ignored(int number) {
  struct sigaction action {};
  return ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Interrupt::Interrupt(std::initializer_list<int> signals) {
  sigemptyset(&signals_);
  for (const int number : signals)
    if (number != SIGHUP || !is_ignored(number)) sigaddset(&signals_, number);
  fd_ = UniqueFd::adopt(::signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_) throw Failure{ExitCode::kUnreachable, Error::from_errno("signalfd").message()};
  sigprocmask(SIG_BLOCK, &signals_, &before_);
}

Interrupt::~Interrupt() {
  while (take() != 0) continue;
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

bool Interrupt::has_come() const {
  pollfd event{fd_.get(), POLLIN, 0};
  return ::poll(&event, 1, 0) > 0;
}

int Interrupt::take() const {
  signalfd_siginfo taken;
  return ::read(fd_.get(), &taken, sizeof taken) > 0 ? static_cast<int>(taken.ssi_signo) : 0;
}

void end_at_interrupt() { std::signal(SIGINT, SIG_DFL); }

bool turn(Client& client, const Wakers& wakers, TimePoint until) {
  pollfd events[] = {{client.fd(), POLLIN, 0},
                     {wakers.interrupt.fd(), POLLIN, 0},
                     {wakers.other, POLLIN, 0},
                     wakers.needs_reader ? loss_of_reader() : pollfd{-1, 0, 0}};
  wait_for(events, std::min(until, client.due()));
  if (events[3].revents != 0) throw SignalEnd{SIGPIPE};
  client.process();
  return events[1].revents != 0;
}

}  // namespace hostcall::cli
