// Neighbours: well-behaved VMs, each with a connection of its own and 100 calls a second, in a thread. They measure how
// long each call takes, from the moment at which it is sent.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/hostile/raw_peer.h"

namespace hostcall::test {

class Neighbours {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Neighbours(const std::vector<std::string>& socket_paths);
  ~Neighbours() { stop(); }
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;

  // The 99th percentile of the calls since the last one of this; those that still wait count with their age.
  Clock::duration take_p99();
  // Ends when all calls are answered, or patience has run out.
  void stop();
  std::uint64_t calls() const { return calls_; }
  // Calls without the right answer, known after stop().
  std::uint64_t lost() const { return calls_ - answered_; }

 private:
  struct Vm {
    explicit Vm(const std::string& socket_path) : peer(socket_path) {}
    RawPeer peer;
    Clock::time_point due{};
    std::uint32_t stream = 1;
    std::deque<Clock::time_point> waiting;  // when each call that waits for its answer was sent
  };

  void run();
  void send_due();
  void send(Vm& vm, Clock::time_point now);
  void receive(std::chrono::nanoseconds time);
  bool is_waiting() const;
  Clock::time_point next_due() const;

  std::vector<std::unique_ptr<Vm>> vms_;
  std::mutex mutex_;  // guards taken_ and Vm::waiting
  std::vector<Clock::duration> taken_;
  std::atomic<std::uint64_t> calls_ = 0, answered_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace hostcall::test
