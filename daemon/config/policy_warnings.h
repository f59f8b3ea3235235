// Warnings about rules that are valid, but can't mean what they say: a name that nothing has, a rule without
// effect.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "daemon/config/policy.h"
#include "daemon/config/service_file.h"

namespace hostcall::daemon {

// What a rule can name.
struct KnownNames {
  struct Method {
    std::string name;           // "hostcall.v1.Host/Info"
    bool for_guests = true;     // false: no rule can allow it
    bool has_resource = false;  // its requests name one
  };
  using Names = std::set<std::string, std::less<>>;

  void add(const VmRecord& vm);
  void add(const Services& of_files);

  std::vector<Method> methods;
  Names vms, tags, services;
};

// One line each, "FILE:LINE: …", in the order of the rules. At most a hundred; then the last one says how many more.
std::vector<std::string> policy_warnings(const Policy& policy, const KnownNames& known);

}  // namespace hostcall::daemon
