#include "tests/hostile/cores.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "tests/support/cpu_seconds.h"
#include "tests/support/sanitized.h"

namespace hostcall::test {
namespace {

constexpr int kPreferred = -5;
constexpr std::size_t kUsed = 2;  // processors

// The processors that this program may use, as it was started.
const std::vector<int>& processors() {
  static const auto all = [] {
    cpu_set_t set;
    std::vector<int> numbers;
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return numbers;
    for (int i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &set)) numbers.push_back(i);
    return numbers;
  }();
  return all;
}

void use_core(std::size_t place) {
  if (processors().size() < kUsed) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processors()[place], &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

bool may_raise_priority() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NICE, &limit);
  return ::geteuid() == 0 || limit.rlim_cur >= 20 - kPreferred;
}

}  // namespace

std::string why_times_are_not_judged() {
  if (!kShipped) return "the build has sanitizers or is not optimised";
  if (processors().size() < kUsed) return "there is one processor only";
  if (!may_raise_priority()) return "this user may not raise a priority";
  return {};
}

OtherPrograms::OtherPrograms(pid_t own_child) : child_(own_child), last_(now()) {}

// proc_stat(5): of each processor, ticks in user mode, nice, system and idle, waiting for a disk, in interrupts.
OtherPrograms::Times OtherPrograms::now() const {
  Times times;
  times.own = cpu_seconds(::getpid()) + cpu_seconds(child_);
  std::ifstream stat("/proc/stat");
  for (std::string line; std::getline(stat, line);) {
    std::istringstream fields(line);
    std::string name;
    fields >> name;
    for (std::size_t place = 0; place < kUsed && place < processors().size(); ++place) {
      if (name != "cpu" + std::to_string(processors()[place])) continue;
      double user = 0, nice = 0, system = 0, idle = 0, disk = 0, interrupts = 0, soft_interrupts = 0, stolen = 0;
      fields >> user >> nice >> system >> idle >> disk >> interrupts >> soft_interrupts >> stolen;
      const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
      const auto busy = user + nice + system + interrupts + soft_interrupts + stolen;
      times.busy += busy / ticks;
      times.wall += (busy + idle + disk) / ticks;
    }
  }
  return times;
}

double OtherPrograms::share() {
  const auto before = std::exchange(last_, now());
  const auto wall = last_.wall - before.wall;
  return wall > 0 ? std::max(0.0, (last_.busy - before.busy) - (last_.own - before.own)) / wall : 0;
}

void use_daemon_core() { use_core(0); }
void use_test_core() { use_core(1); }

// On Linux, a nice value belongs to a thread.
void prefer_this_thread() {
  const auto thread = static_cast<id_t>(::gettid());
  ::setpriority(PRIO_PROCESS, thread, ::getpriority(PRIO_PROCESS, thread) + kPreferred);
}

}  // namespace hostcall::test
