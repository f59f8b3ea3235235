// StoreNames: maps a caller's names of keys to the store's and back. A VM's /self/x is the store's /vm/NAME/x. A VM
// can't say /vm at all, so it never names another VM's keys.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/calls/call.h"

namespace hostcall::daemon {

class StoreNames {
 public:
  explicit StoreNames(const Caller& caller);

  // Refuse a name that is not a key, or prefix, that the caller can name: INVALID_ARGUMENT.
  Status check_key(std::string_view name) const;
  Status check_prefix(std::string_view name) const;
  // The store's name of a key. INVALID_ARGUMENT if the name is not a key or not visible to the caller.
  Status key(std::string_view name, std::string& in_store) const;
  // The same for a prefix. An administrator's may span namespaces ("/vm/", "/").
  Status prefix(std::string_view name, std::string& in_store) const;
  // The caller's name of a key in the store.
  std::string shown(std::string_view in_store) const;

 private:
  // Refuses a name that is in none of the caller's namespaces.
  Status check_place(std::string_view name) const;
  std::string in_store(std::string_view name) const;

  std::string own_;  // "/vm/NAME/"; empty: an administrator
  std::size_t max_bytes_;
};

}  // namespace hostcall::daemon
