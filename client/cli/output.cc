// Standard output and error: see output.h. Plain stdio: iostreams would cost start-up time.
#include "client/cli/output.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "client/cli/exit_code.h"

namespace hostcall::cli {
namespace {

iovec piece(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

}  // namespace

void print(std::string_view text) {
  // A closed output is a failure also where there is nothing to write.
  const bool written =
      text.empty() ? ::write(STDOUT_FILENO, "", 0) == 0
                   : std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) throw Failure{ExitCode::kUnreachable, std::string("write to standard output: ") + std::strerror(errno)};
}

void print_line(std::string_view text) { print(std::string(text) + "\n"); }

void complain(std::string_view program, std::string_view text) {
  const iovec line[] = {piece(program), piece(": "), piece(text), piece("\n")};
  if (::writev(STDERR_FILENO, line, std::size(line)) < 0) return;  // nobody is left to tell
}

bool prints_to_terminal() { return ::isatty(STDOUT_FILENO) == 1; }

pollfd loss_of_reader() { return {.fd = STDOUT_FILENO, .events = 0, .revents = 0}; }

void reset_signals() {
  std::signal(SIGPIPE, SIG_DFL);
  std::signal(SIGCHLD, SIG_DFL);
}

void die_of(int signal) {
  std::signal(signal, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  sigprocmask(SIG_UNBLOCK, &only, nullptr);
  std::raise(signal);
  ::_exit(128 + signal);  // as a shell reports it
}

}  // namespace hostcall::cli
