// Another program's output: see program_output.h.
#include "client/hostcallctl/program_output.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "client/cli/child.h"
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

// `errors`: where its standard error goes; -1: nowhere.
Result<pid_t> start(const std::vector<std::string>& argv, const UniqueFd& output, int errors) {
  const auto nothing = UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing) return Error::from_errno("open /dev/null");
  return start_child(argv, {.input = nothing.get(),
                            .output = output.get(),
                            .errors = errors == -1 ? nothing.get() : errors,
                            .environment = {}});
}

// Reads to the end of file.
Result<std::string> read_all(int fd, TimePoint deadline) {
  std::string text;
  char buffer[4096];
  for (;;) {
    pollfd event{fd, POLLIN, 0};
    if (!wait_for({&event, 1}, deadline)) return Error{ETIMEDOUT, "read"};
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno("read");
    if (got == 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace

Result<std::string> program_output(const std::vector<std::string>& argv, TimePoint deadline) {
  auto output = HOSTCALL_TRY(make_pipe());
  const auto pid = HOSTCALL_TRY(start(argv, output.write, -1));
  output.write.reset();
  auto text = read_all(output.read.get(), deadline);
  if (!text.ok()) ::kill(pid, SIGKILL);
  const auto ended = reap_child(pid);
  if (!text.ok()) return Error{text.error().code, argv[0]};
  if (!ended.ok()) return Error{0, argv[0] + " failed: " + ended.error().message()};
  return text;
}

Result<std::string> program_report(const std::vector<std::string>& argv, TimePoint deadline) {
  auto output = HOSTCALL_TRY(make_pipe());
  const auto pid = HOSTCALL_TRY(start(argv, output.write, output.write.get()));
  output.write.reset();
  auto text = read_all(output.read.get(), deadline);
  if (!text.ok()) ::kill(pid, SIGKILL);
  const auto ended = reap_child(pid);
  if (!text.ok()) return Error{text.error().code, argv[0]};
  if (!ended.ok()) return Error{0, text->empty() ? argv[0] + " failed: " + ended.error().message() : *text};
  return text;
}

}  // namespace hostcall::cli::host
