// Background: work that would hold up the reactor, on the daemon's one other thread.
#pragma once

#include <functional>

namespace hostcall::daemon {

class Background {
 public:
  // Runs `job` on the other thread, in the order of the calls and behind a commit of the store that has begun; then
  // `done` on the reactor's thread, never from within run(). Neither may throw. A job shares nothing that it does not
  // own with the rest of the daemon. At the end of the daemon, jobs that have not begun are dropped, and `done` of none
  // is called.
  virtual void run(std::function<void()> job, std::function<void()> done) = 0;

 protected:
  ~Background() = default;
};

}  // namespace hostcall::daemon
