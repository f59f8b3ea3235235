// Standard output: see output.h. Plain stdio: iostreams would cost start-up time.
#include "client/cli/output.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "client/cli/exit_code.h"

namespace hostcall::cli {

void print(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) throw Failure{ExitCode::kUnreachable, std::string("write to standard output: ") + std::strerror(errno)};
}

void print_line(std::string_view text) { print(std::string(text) + "\n"); }

void complain(std::string_view program, std::string_view text) {
  const auto line = std::string(program) + ": " + std::string(text) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void end_with_the_reader() { std::signal(SIGPIPE, SIG_DFL); }

}  // namespace hostcall::cli
