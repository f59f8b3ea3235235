// Children: see child.h.
#include "client/cli/child.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>

namespace hostcall::cli {
namespace {

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& extra) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable = *entry;
    if (!extra.contains(variable.substr(0, variable.find('=')))) all.push_back(variable);
  }
  for (const auto& [name, value] : extra) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const auto& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

Done outcome_of(int status) {
  if (WIFSIGNALED(status)) return Error{0, "signal " + std::to_string(WTERMSIG(status))};
  if (WEXITSTATUS(status) != 0) return Error{0, "exit code " + std::to_string(WEXITSTATUS(status))};
  return done();
}

bool waits_for_terminal(int status) {
  return WIFSTOPPED(status) && (WSTOPSIG(status) == SIGTTIN || WSTOPSIG(status) == SIGTTOU);
}

}  // namespace

Result<pid_t> start_child(const std::vector<std::string>& argv, const ChildOptions& options) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, options.input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, options.output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, options.errors, STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(
      &attributes, static_cast<short>(POSIX_SPAWN_SETSIGMASK | (options.own_group ? POSIX_SPAWN_SETPGROUP : 0)));
  const auto environment = merged_environment(options.environment);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0].c_str(), &actions, &attributes, pointers_to(argv).data(),
                                   pointers_to(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return Error{error, "start " + argv[0]};
  return pid;
}

Done reap_child(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return Error::from_errno("waitpid");
  return outcome_of(status);
}

std::optional<Done> try_reap_child(pid_t pid) {
  int status = 0;
  const auto reaped = ::waitpid(pid, &status, WNOHANG | WUNTRACED);
  if (reaped < 0) return Error::from_errno("waitpid");
  if (reaped == 0 || (WIFSTOPPED(status) && !waits_for_terminal(status))) return std::nullopt;
  if (!WIFSTOPPED(status)) return outcome_of(status);
  ::kill(-pid, SIGKILL);
  static_cast<void>(reap_child(pid));
  return Error{0, "it wants the terminal, which a command in the background can't have"};
}

}  // namespace hostcall::cli
