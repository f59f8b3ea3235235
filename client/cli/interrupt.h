// Interrupt: signals such as Ctrl-C as a descriptor, for verbs that have something to clean up or to tell before they
// end.
#pragma once

#include <hostcall/client.h>

#include <csignal>
#include <initializer_list>

#include "proto/base/clock.h"
#include "proto/base/unique_fd.h"

namespace hostcall::cli {

// Ends the run by a signal: thrown by verbs, so that everything that the run holds is given back; main then dies of it,
// as whoever waits for the program expects.
struct SignalEnd {
  int number;
};

// While it lives, the signals are blocked; not SIGHUP if the program was started to ignore it, as nohup(1) does. SIGINT
// is taken all the same: shells start all background jobs with it ignored. One that came is dropped at the end.
class Interrupt {
 public:
  // Throws Failure.
  explicit Interrupt(std::initializer_list<int> signals);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // Readable once one of the signals has come.
  int fd() const { return fd_.get(); }
  // Whether it has.
  bool has_come() const;
  // Takes one that has come: its number; 0: none has.
  int take() const;

 private:
  sigset_t signals_{};
  sigset_t before_{};
  UniqueFd fd_;
};

// For a verb that takes SIGINT once it has connected: until then it ends the program, also if that was started to
// ignore it.
void end_at_interrupt();

// For whom a verb's own loop waits besides the host.
struct Wakers {
  const Interrupt& interrupt;
  // Whether the run is in vain once nobody reads standard output any more.
  bool needs_reader;
  // One more descriptor, readable when it matters; -1: none.
  int other = -1;
};

// One round of a verb's own loop: waits for the client, for the wakers or until then, and processes the client. Whether
// the signal has come. Throws SignalEnd: the reader has gone.
bool turn(Client& client, const Wakers& wakers, TimePoint until);

}  // namespace hostcall::cli
