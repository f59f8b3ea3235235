// The daemon of a soak: started several times, and judged at the end of each life by its journal and its exit code.
#pragma once

#include <chrono>
#include <cstddef>

#include "tests/support/daemon_process.h"

namespace hostcall::test {

class SoakDaemon {
 public:
  SoakDaemon();

  DaemonProcess& process() { return daemon_; }
  void start();
  // Reads the journal for so long, so that the daemon never finds its pipe full.
  void read_journal(std::chrono::milliseconds time);
  // Ends it with this signal and expects the exit code that belongs to it, no record of an error, and no more records
  // than `allowed` of the administrator's and what the audit of callers may write.
  void end(int signal, std::size_t allowed);
  std::size_t open_descriptors();
  std::size_t journal_bytes() const { return journal_bytes_; }

 private:
  void expect_journal(std::size_t allowed);

  DaemonProcess daemon_;
  std::chrono::steady_clock::time_point begin_;
  std::size_t journal_bytes_ = 0;  // of the lives that have ended
};

}  // namespace hostcall::test
