// Stage: a daemon with neighbours and a hostile VM, "web1", and the judgement of what an attack did. Prints the
// figures.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/hostile/monitor.h"
#include "tests/hostile/neighbours.h"
#include "tests/support/daemon_process.h"

namespace hostcall::test {

inline constexpr char kHostileVm[] = "web1";

// What one attack and the pause before it showed.
struct Round {
  std::chrono::nanoseconds base_p99{}, p99{};  // of the neighbours' calls
  double base_cpu = 0, cpu = 0;                // share of the daemon's processor
  double others = 0;                           // share of both processors that other programs have used
};

class Stage {
 public:
  // Neighbours are the VMs db1, db2, …, beside those of the options.
  explicit Stage(const DaemonOptions& options, std::size_t neighbours = 1);

  DaemonProcess& daemon() { return *daemon_; }
  std::string hostile_path() const { return daemon_->vm_path(kHostileVm); }

  // Begins an attack, and returns what goes on with it for so long. The attack ends when that is destroyed.
  using GoOn = std::function<void(std::chrono::milliseconds)>;
  using Attack = std::function<GoOn()>;
  // Runs an attack again and again, with pauses in which the neighbours are alone. Judges everything but the replies.
  // One that is idle costs no processor time once it has begun.
  void withstand(const Attack& attack, bool is_idle = false);
  // Share of the neighbours' calls that may be lost; none by default.
  double may_lose = 0;

 private:
  std::vector<Round> measure(const Attack& attack, bool is_idle);
  Round run_round(const Attack& attack, bool is_idle);
  double cpu_while(const std::function<void()>& action) const;
  void judge_times(const std::vector<Round>& rounds, bool is_idle) const;
  void judge_memory() const;
  void judge_return();
  void judge_neighbours();
  void judge_log();
  // Beside so much of charges.
  std::size_t allowed_rss_kib(std::uint64_t charge) const;

  std::unique_ptr<DaemonProcess> daemon_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::unique_ptr<Monitor> monitor_;
  std::unique_ptr<Neighbours> neighbours_;
  std::size_t base_rss_kib_ = 0;
};

}  // namespace hostcall::test
