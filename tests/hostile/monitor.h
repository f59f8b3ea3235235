// Monitor: what a VM's use of a daemon costs: memory, what the daemon has charged for it, processor time and records of
// its journal. Samples in a thread, over the admin socket.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "tests/support/daemon_process.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {

// What the daemon has charged to a VM.
struct Charges {
  std::uint64_t connections = 0, streams = 0, watches = 0;
  std::uint64_t bytes = 0;   // memory and unsent replies
  std::uint64_t stored = 0;  // bytes of its keys and values, and of their history
  // Whether nothing is left but what it has stored.
  bool are_given_back() const { return connections == 0 && streams == 0 && watches == 0 && bytes == 0; }
};

class Monitor {
 public:
  Monitor(DaemonProcess& daemon, std::string vm);
  ~Monitor() { stop(); }
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  Charges charges();
  std::size_t rss_kib() const { return daemon_.process().rss_kib(); }

  // From now on samples, until stop(), and reads what the daemon writes.
  void start();
  void stop();
  // The largest since start().
  std::size_t peak_rss_kib() const { return daemon_.process().peak_rss_kib(); }
  std::uint64_t peak_charge() const { return peak_charge_; }

 private:
  void sample();

  DaemonProcess& daemon_;
  const std::string vm_;
  std::mutex mutex_;
  WireClient admin_;
  std::atomic<std::uint64_t> peak_charge_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace hostcall::test
