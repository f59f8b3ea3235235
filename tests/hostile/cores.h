// Where the daemon and the test run while times are measured: each on a processor of its own.
#pragma once

#include <sys/types.h>

#include <string>

namespace hostcall::test {

// Why times can't be judged here; empty: they can. Not in a build with sanitizers, with one processor, or without the
// right to raise a priority.
std::string why_times_are_not_judged();

// The calling thread, and what it starts from now on, runs on the daemon's processor or on the test's. Do nothing with
// one processor.
void use_daemon_core();
void use_test_core();

// Since the last call of this: the share of both processors that other programs than this and the given one have used.
class OtherPrograms {
 public:
  explicit OtherPrograms(pid_t own_child);
  double share();

 private:
  struct Times {
    double wall = 0, busy = 0, own = 0;  // seconds; of both processors together
  };
  Times now() const;

  const pid_t child_;
  Times last_;
};

// Takes 5 off the nice value of the calling thread, if that is allowed.
void prefer_this_thread();

}  // namespace hostcall::test
