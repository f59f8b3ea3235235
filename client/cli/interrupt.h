// Interrupt: Ctrl-C as a descriptor, for verbs that end with what they have found so far.
#pragma once

#include <hostcall/client.h>

#include <csignal>

#include "proto/base/clock.h"
#include "proto/base/unique_fd.h"

namespace hostcall::cli {

// While it lives, SIGINT is blocked; one that came is dropped at the end.
class Interrupt {
 public:
  // Throws Failure.
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // Readable once the signal has come.
  int fd() const { return fd_.get(); }
  // Whether it has.
  bool has_come() const;
  // One round of a verb's own loop: waits for the client, for the signal or until then, and processes the client.
  // Whether the signal has come.
  bool turn(Client& client, TimePoint until) const;

 private:
  sigset_t signals_{};
  sigset_t before_{};
  UniqueFd fd_;
};

}  // namespace hostcall::cli
