// Process: a child program of a test, with its output, ended and reaped for certain.
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
  std::map<std::string, std::string> environment;  // on top of ours
  std::string input;                               // standard input, then end of file
};

class Process {
 public:
  // Starts argv[0]; standard output and error go to pipes. Throws when it can't be started.
  explicit Process(const std::vector<std::string>& argv, const ProcessOptions& options = {});
  // Kills what is still there, and reaps it.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  // Reads output until the condition holds. False: it ended or the time was over before.
  bool wait_until(const std::function<bool()>& holds, std::chrono::milliseconds time = kPatience);
  // The same until the text occurs in standard error.
  bool wait_for_error_text(const std::string& text, std::chrono::milliseconds time = kPatience);
  // The exit code, 128 + signal for one that was killed; nothing if it still runs after the time.
  std::optional<int> wait(std::chrono::milliseconds time = kPatience);
  // What it has written so far, as far as it was read by the waits.
  const std::string& output() const { return output_; }
  const std::string& errors() const { return errors_; }
  // Resident set size in KiB.
  std::size_t rss_kib() const;

 private:
  bool pump(std::chrono::milliseconds time);
  void close_pipes();
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  std::optional<int> code_;
  std::string output_;
  std::string errors_;
};

// A program run to its end.
struct Finished {
  int code;  // as Process::wait(); 255 if it did not end in time
  std::string output;
  std::string errors;
};
Finished run(const std::vector<std::string>& argv, const ProcessOptions& options = {},
             std::chrono::milliseconds time = kPatience);

}  // namespace hostcall::test
