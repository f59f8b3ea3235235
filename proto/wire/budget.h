// Budget: whom the engine asks before it keeps bytes of a peer. The daemon charges the VM
// behind it; a client has none.
#pragma once

#include <cstddef>

namespace hostcall::wire {

class Budget {
 public:
  // False: the bytes must not be kept.
  virtual bool try_charge(std::size_t bytes) = 0;
  // Gives charged bytes back.
  virtual void release(std::size_t bytes) = 0;

 protected:
  ~Budget() = default;
};

}  // namespace hostcall::wire
