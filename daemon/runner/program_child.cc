#include "daemon/runner/program_child.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <vector>

namespace hostcall::daemon {
namespace {

// As systemd sets it. Programs that use select(2) break above it.
constexpr rlim_t kDescriptors = 1024;
constexpr mode_t kUmask = 077;

void reset_signals() {
  for (int signal = 1; signal < SIGRTMIN; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// The daemon may have raised it for its connections.
void reset_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::min(kDescriptors, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

bool place_descriptors(const std::array<int, 3>& descriptors) {
  for (int fd = 0; fd < 3; ++fd)
    if (::dup2(descriptors[static_cast<std::size_t>(fd)], fd) < 0) return false;
  return ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const auto& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void fail(ChildFailure& failure, KeeperReport::Step step) {
  failure.step = step;
  failure.code = errno;
  ::_exit(127);
}

}  // namespace

ChildCommand::ChildCommand(const KeptCommand& command)
    : argv(pointers_to(command.command)),
      environment(pointers_to(command.environment)),
      directory(command.directory.empty() ? "/" : command.directory.c_str()),
      descriptors{command.descriptors[0].get(), command.descriptors[1].get(), command.descriptors[2].get()} {}

[[noreturn]] void become_program(const ChildCommand& command, ChildFailure& failure) {
  // If somebody kills the keeper. The runner then ends what else there is.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // A program with more rights could not be killed.
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::setsid();
  ::umask(kUmask);
  reset_descriptor_limit();
  if (::chdir(command.directory) != 0) fail(failure, KeeperReport::Step::kDirectory);
  if (!place_descriptors(command.descriptors)) fail(failure, KeeperReport::Step::kDescriptors);
  reset_signals();
  ::execve(command.argv.front(), command.argv.data(), command.environment.data());
  fail(failure, KeeperReport::Step::kExec);
}

}  // namespace hostcall::daemon
