// A command for each change: see event_command.h.
#include "client/cli/kv/event_command.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "client/cli/child.h"
#include "client/cli/exit_code.h"
#include "client/cli/text.h"
#include "proto/base/unique_fd.h"
#include "proto/base/write_file.h"

namespace hostcall::cli::kv {
namespace {

// Between the signal that ends a command and SIGKILL.
constexpr Duration kGrace = seconds(2);
// How often to look whether a process group has ended, of which nothing tells.
constexpr int kLookMs = 20;

// In memory: a command that does not read its input must not stop us.
Result<UniqueFd> file_of(const std::string& value) {
  auto fd = UniqueFd::adopt(::memfd_create("value", MFD_CLOEXEC));
  if (!fd) return Error::from_errno("memfd_create");
  HOSTCALL_TRY(write_all(fd.get(), value));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return Error::from_errno("lseek");
  return fd;
}

Result<pid_t> start(const std::string& command, const v1::Event& event) {
  const auto input = HOSTCALL_TRY(file_of(event.item().value()));
  return start_child({"/bin/sh", "-c", command},
                     {.input = input.get(),
                      .environment = {{"HOSTCALL_KIND", event.kind() == v1::Event::KIND_DELETE ? "delete" : "put"},
                                      {"HOSTCALL_KEY", event.item().key()},
                                      {"HOSTCALL_REVISION", std::to_string(event.item().mod_revision())}},
                      .own_group = true});
}

// Whether the process group has members, after those that are dead and ours are reaped.
bool is_alive(pid_t group) {
  while (::waitpid(-group, nullptr, WNOHANG) > 0) continue;
  return ::kill(-group, 0) == 0;
}

// Ends the child and all of its process group.
void end_group(pid_t group, int signal, const Follower& follower) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // its orphans become ours, so that their ends are seen at once
  ::kill(-group, signal);
  ::kill(-group, SIGCONT);  // what has stopped gets it too
  const auto until = Clock::now() + kGrace;
  // What can't be killed, or is dead and not looked after, is not waited for without end.
  while (is_alive(group) && Clock::now() < until + kGrace) {
    if (Clock::now() >= until || follower.is_urged()) ::kill(-group, SIGKILL);
    ::poll(nullptr, 0, kLookMs);
  }
}

// Throws SignalEnd as the follower does. Nothing: the deadline passed.
std::optional<Done> wait_for_child(pid_t pid, const Interrupt& child_signal, Follower& follower) {
  while (Clock::now() < follower.deadline()) {
    if (auto ended = try_reap_child(pid)) return ended;
    follower.wait(follower.deadline(), child_signal.fd());
    child_signal.take();
  }
  return std::nullopt;
}

// The same, but the group has ended when it throws or returns nothing.
std::optional<Done> wait_or_end(pid_t pid, const Interrupt& child_signal, Follower& follower) {
  try {
    if (auto ended = wait_for_child(pid, child_signal, follower)) return ended;
    end_group(pid, SIGTERM, follower);
    return std::nullopt;
  } catch (const SignalEnd& end) {
    end_group(pid, end.number, follower);
    throw;
  }
}

}  // namespace

void run_event_command(const std::string& command, const v1::Event& event, Follower& follower) {
  const Interrupt child_signal{SIGCHLD};  // before there is a child, so that its end is not missed
  const auto where =
      printable(event.item().key()) + " at revision " + std::to_string(event.item().mod_revision()) + ": ";
  const auto pid = start(command, event);
  if (!pid.ok()) throw Failure{ExitCode::kUnreachable, "the command for " + where + pid.error().message()};
  const auto ended = wait_or_end(*pid, child_signal, follower);
  if (!ended)
    throw Failure{ExitCode::kDeadline,
                  "the command for " + where + "it was still running at the deadline (--timeout) and was ended"};
  if (!ended->ok()) throw Failure{ExitCode::kUnreachable, "the command failed for " + where + ended->error().message()};
}

}  // namespace hostcall::cli::kv
