#include "daemon/runner/keeper.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <utility>

#include "daemon/runner/packet.h"
#include "daemon/runner/process_tree.h"
#include "daemon/runner/program_child.h"
#include "daemon/runner/program_host.h"
#include "proto/base/clock.h"

namespace hostcall::daemon {
namespace {

// Between two rounds of SIGKILL: a process that forks meanwhile may have been missed.
constexpr milliseconds kKillPause{20};

// In the keeper's own process. Nothing here returns: it ends by _exit().
class KeeperProcess {
 public:
  explicit KeeperProcess(UniqueFd socket) : socket_(std::move(socket)) {}
  [[noreturn]] void run(const KeptCommand& command);

 private:
  void start(const KeptCommand& command);
  void close_all_others();
  void wait();
  void read_orders();
  void reap();
  void end_all();
  void kill_round();
  void report(KeeperReport::Kind kind, int value, KeeperReport::Step step = {}) const;

  UniqueFd socket_;
  UniqueFd children_;  // a signalfd
  pid_t program_ = -1;
  std::optional<int> status_;  // of the program, once it has ended
  bool has_children_ = true;
  bool is_started_ = false;
  bool is_ending_ = false;
  TimePoint kill_at_ = kNever;
};

[[noreturn]] void KeeperProcess::run(const KeptCommand& command) {
  start(command);
  while (has_children_) wait();
  if (is_started_ && status_) {
    const bool exited = WIFEXITED(*status_);
    report(exited ? KeeperReport::Kind::kEnded : KeeperReport::Kind::kKilled,
           exited ? WEXITSTATUS(*status_) : WTERMSIG(*status_));
  }
  ::_exit(0);
}

void KeeperProcess::start(const KeptCommand& command) {
  ::prctl(PR_SET_NAME, "hostcall-keeper");
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  children_ = UniqueFd::adopt(::signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC));
  const ChildCommand child_command(command);
  ChildFailure failure;
  // Returns when the child has become the program, or has failed.
  program_ = children_ ? ::vfork() : -1;
  if (program_ == 0) become_program(child_command, failure);
  if (program_ < 0) {
    report(KeeperReport::Kind::kNotStarted, errno, KeeperReport::Step::kFork);
    ::_exit(0);
  }
  close_all_others();
  is_started_ = failure.code == 0;
  if (is_started_)
    report(KeeperReport::Kind::kRunning, program_);
  else
    report(KeeperReport::Kind::kNotStarted, failure.code, failure.step);
}

// Above all the program's descriptors, whose other ends wait for their close.
void KeeperProcess::close_all_others() {
  std::array kept{socket_.get(), children_.get()};
  std::ranges::sort(kept);
  int next = STDERR_FILENO + 1;
  for (const int fd : kept) {
    if (fd > next) ::close_range(static_cast<unsigned>(next), static_cast<unsigned>(fd - 1), 0);
    next = fd + 1;
  }
  ::close_range(static_cast<unsigned>(next), ~0U, 0);
}

void KeeperProcess::wait() {
  pollfd watched[] = {{children_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}};
  int time = -1;
  if (kill_at_ != kNever)
    time =
        static_cast<int>(std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(kill_at_ - Clock::now()).count()));
  if (::poll(watched, std::size(watched), time) < 0 && errno != EINTR) end_all();
  if (watched[1].revents != 0) read_orders();
  if (watched[0].revents != 0) reap();
  if (has_children_ && Clock::now() >= kill_at_) kill_round();
}

void KeeperProcess::read_orders() {
  KeeperOrder order = kKeeperKills;
  const auto got = ::recv(socket_.get(), &order, sizeof order, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got == sizeof order && order != kKeeperKills) {
    if (!status_) ::kill(program_, order);
    return;
  }
  end_all();
  // The runner is gone: nobody is left to listen to.
  if (got != sizeof order) socket_.reset();
}

void KeeperProcess::reap() {
  signalfd_siginfo ignored;
  while (::read(children_.get(), &ignored, sizeof ignored) > 0) {
  }
  int status = 0;
  pid_t ended = 0;
  while ((ended = ::waitpid(-1, &status, WNOHANG)) > 0)
    if (ended == program_) status_ = status;
  has_children_ = ended == 0;
  if (has_children_ && status_) end_all();
}

void KeeperProcess::end_all() {
  if (std::exchange(is_ending_, true)) return;
  signal_descendants(::getpid(), SIGTERM);
  // One that is stopped takes it only then.
  signal_descendants(::getpid(), SIGCONT);
  kill_at_ = Clock::now() + kTermTime;
}

void KeeperProcess::kill_round() {
  // At once for its whole group, so that none of it can fork in between.
  if (!status_) ::kill(-program_, SIGKILL);
  signal_descendants(::getpid(), SIGKILL);
  kill_at_ = Clock::now() + kKillPause;
}

void KeeperProcess::report(KeeperReport::Kind kind, int value, KeeperReport::Step step) const {
  if (!socket_) return;
  const KeeperReport report{.kind = kind, .value = value, .step = step};
  // There is room: it is one of two.
  (void)::send(socket_.get(), &report, sizeof report, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

Result<Keeper> start_keeper(const KeptCommand& command) {
  auto sockets = HOSTCALL_TRY(packet_socket_pair());
  const auto pid = ::fork();
  if (pid < 0) return Error::from_errno("fork");
  if (pid == 0) {
    (void)sockets.first.release();  // closed with all others
    KeeperProcess(std::move(sockets.second)).run(command);
  }
  return Keeper{pid, std::move(sockets.first)};
}

}  // namespace hostcall::daemon
