// Budget: the engine charges it before it keeps a peer's bytes. The daemon's budget charges the VM; a client has none.
#pragma once

#include <cstddef>

namespace hostcall::wire {

class Budget {
 public:
  // False: the bytes must not be kept.
  [[nodiscard]] virtual bool try_charge(std::size_t bytes) = 0;
  // Returns charged bytes.
  virtual void release(std::size_t bytes) = 0;

 protected:
  ~Budget() = default;
};

}  // namespace hostcall::wire
