// Interrupt: see interrupt.h.
#include "client/cli/interrupt.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

#include "client/cli/exit_code.h"
#include "client/cli/wait.h"
#include "proto/base/result.h"

namespace hostcall::cli {

Interrupt::Interrupt() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  fd_ = UniqueFd::adopt(::signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd_) throw Failure{ExitCode::kUnreachable, Error::from_errno("signalfd").message()};
  sigprocmask(SIG_BLOCK, &signals_, &before_);
}

Interrupt::~Interrupt() {
  signalfd_siginfo taken;
  while (::read(fd_.get(), &taken, sizeof taken) > 0) continue;
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

bool Interrupt::turn(Client& client, TimePoint until) const {
  pollfd events[] = {{client.fd(), POLLIN, 0}, {fd_.get(), POLLIN, 0}};
  wait_for(events, std::min(until, client.due()));
  client.process();
  return events[1].revents != 0;
}

bool Interrupt::has_come() const {
  pollfd event{fd_.get(), POLLIN, 0};
  return ::poll(&event, 1, 0) > 0;
}

}  // namespace hostcall::cli
