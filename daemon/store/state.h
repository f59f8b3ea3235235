// State: what transactions are evaluated against: the committed state (Model), or changes on top of another State
// (Draft).
#pragma once

#include <string>
#include <string_view>

#include "daemon/store/record.h"

namespace hostcall::daemon::store {

class State {
 public:
  virtual ~State() = default;
  // Null: there is no such key.
  virtual Ref find(std::string_view key) const = 0;
  virtual Usage usage(const std::string& owner) const = 0;
  virtual Revision revision() const = 0;
};

}  // namespace hostcall::daemon::store
