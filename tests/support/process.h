// Process: a test's child program and its output. The destructor kills and reaps it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/patience.h"

namespace hostcall::test {

struct ProcessOptions {
  std::map<std::string, std::string> environment;  // added to ours
  std::string input;                               // on standard input, followed by end of file
  std::vector<int> descriptors = {};               // that become 3, 4, …
};

class Process {
 public:
  // Starts argv[0], with pipes for standard output and error. Throws if it can't.
  explicit Process(const std::vector<std::string>& argv, const ProcessOptions& options = {});
  // Kills the program if it still runs, and reaps it.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  // Reads output until the condition holds. False: the program ended or time ran out first.
  bool wait_until(const std::function<bool()>& holds, std::chrono::milliseconds time = kPatience);
  // Reads until standard error contains the text.
  bool wait_for_error_text(const std::string& text, std::chrono::milliseconds time = kPatience);
  // The exit code, or 128 + signal if it was killed; nothing if it still runs when time runs out.
  std::optional<int> wait(std::chrono::milliseconds time = kPatience);
  // Its output, as far as the waits have read it.
  const std::string& output() const { return output_; }
  const std::string& errors() const { return errors_; }
  // Resident set size in KiB.
  std::size_t rss_kib() const { return status_kib("VmRSS:"); }
  // The largest since the start or forget_peak_rss().
  std::size_t peak_rss_kib() const { return status_kib("VmHWM:"); }
  void forget_peak_rss() const;

 private:
  bool pump(std::chrono::milliseconds time);
  std::size_t status_kib(const std::string& field) const;
  void close_pipes();
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  std::optional<int> code_;
  std::string output_;
  std::string errors_;
};

// Runs a program to its end.
struct Finished {
  int code;  // as from Process::wait(); 255 if it did not end in time
  std::string output;
  std::string errors;
};
Finished run(const std::vector<std::string>& argv, const ProcessOptions& options = {},
             std::chrono::milliseconds time = kPatience);

}  // namespace hostcall::test
