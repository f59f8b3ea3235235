// A command for each change: see run_command.h.
#include "client/cli/kv/run_command.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "client/cli/exit_code.h"
#include "client/cli/text.h"
#include "proto/base/unique_fd.h"

namespace hostcall::cli::kv {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw Failure{ExitCode::kUnreachable, what + ": " + std::strerror(errno)};
}

// In memory: a command that does not read its input must not stop us.
UniqueFd file_of(const std::string& value) {
  auto fd = UniqueFd::adopt(::memfd_create("value", MFD_CLOEXEC));
  if (!fd) fail("memfd_create");
  for (std::size_t done = 0; done != value.size();) {
    const auto written = ::write(fd.get(), value.data() + done, value.size() - done);
    if (written < 0) fail("write to a memfd");
    done += static_cast<std::size_t>(written);
  }
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) fail("lseek");
  return fd;
}

std::vector<std::string> environment_of(const v1::Event& event) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (std::strncmp(*entry, "HOSTCALL_K", 10) != 0 && std::strncmp(*entry, "HOSTCALL_REVISION=", 18) != 0)
      all.emplace_back(*entry);
  all.push_back(std::string("HOSTCALL_KIND=") + (event.kind() == v1::Event::KIND_DELETE ? "delete" : "put"));
  all.push_back("HOSTCALL_KEY=" + event.item().key());
  all.push_back("HOSTCALL_REVISION=" + std::to_string(event.item().mod_revision()));
  return all;
}

std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const auto& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Ctrl-C, which the watch blocks, is the command's own.
int spawn(const std::vector<std::string>& argv, const std::vector<std::string>& environment, int input, pid_t& pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const int error =
      ::posix_spawn(&pid, "/bin/sh", &actions, &attributes, pointers_to(argv).data(), pointers_to(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

void run_command(const std::string& command, const v1::Event& event) {
  const auto input = file_of(event.item().value());
  pid_t pid = -1;
  errno = spawn({"sh", "-c", command}, environment_of(event), input.get(), pid);
  if (errno != 0) fail("start /bin/sh");
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  throw Failure{ExitCode::kUnreachable, "the command failed for " + printable(event.item().key()) + " at revision " +
                                            std::to_string(event.item().mod_revision()) +
                                            (WIFEXITED(status) ? ", exit code " + std::to_string(WEXITSTATUS(status))
                                                               : ", signal " + std::to_string(WTERMSIG(status)))};
}

}  // namespace hostcall::cli::kv
