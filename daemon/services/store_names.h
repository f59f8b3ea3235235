// StoreNames: keys as a caller names them, and as the store does. A VM says /self/x where the store has /vm/NAME/x, and
// can't say /vm at all: so one VM never names another's keys.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/calls/call.h"

namespace hostcall::daemon {

class StoreNames {
 public:
  explicit StoreNames(const Caller& caller);

  // The store's name of a key. INVALID_ARGUMENT: it is none, or not the caller's to name.
  Status key(std::string_view name, std::string& in_store) const;
  // The same for a prefix; an administrator's may be above the namespaces ("/vm/", "/").
  Status prefix(std::string_view name, std::string& in_store) const;
  // The caller's name of a key of the store.
  std::string shown(std::string_view in_store) const;

 private:
  Status map(std::string_view name, std::string& in_store) const;

  std::string own_;  // "/vm/NAME/"; empty: an administrator
  std::size_t max_bytes_;
};

}  // namespace hostcall::daemon
