// Another program's output: see command.h.
#include "client/hostcallctl/command.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "client/cli/wait.h"
#include "proto/base/unique_fd.h"

namespace hostcall::cli::host {
namespace {

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error::from_errno("pipe");
  return Pipe{UniqueFd::adopt(ends[0]), UniqueFd::adopt(ends[1])};
}

Result<pid_t> spawn(const std::vector<std::string>& argv, int output) {
  std::vector<char*> pointers;
  for (const auto& word : argv) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, pointers[0], &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return Error{error, "start " + argv[0]};
  return pid;
}

// Reads to the end of file. False: the deadline passed.
bool read_all(int fd, std::string& text, TimePoint deadline) {
  char buffer[4096];
  for (;;) {
    pollfd event{fd, POLLIN, 0};
    if (!wait_for({&event, 1}, deadline)) return false;
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

int reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

}  // namespace

Result<std::string> run_command(const std::vector<std::string>& argv, TimePoint deadline) {
  auto output = HOSTCALL_TRY(make_pipe());
  const auto pid = HOSTCALL_TRY(spawn(argv, output.write.get()));
  output.write.reset();
  std::string text;
  const bool ended = read_all(output.read.get(), text, deadline);
  if (!ended) ::kill(pid, SIGKILL);
  const int status = reap(pid);
  if (!ended) return Error{ETIMEDOUT, argv[0]};
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return Error{0, argv[0] + " failed"};
  return text;
}

}  // namespace hostcall::cli::host
