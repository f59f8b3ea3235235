// MethodList: full names of methods, "package.Service/Method", and what they tell of their services. A service that the
// host does not describe has one, "package.Service/*".
#pragma once

#include <string>
#include <vector>

#include "hostcall/v1/session.pb.h"

namespace hostcall::cli::guest {

class MethodList {
 public:
  explicit MethodList(std::vector<std::string> names = {}) : names_(std::move(names)) {}
  explicit MethodList(const v1::ListServicesResponse& services);

  const std::vector<std::string>& names() const { return names_; }
  // Their services, each once, sorted.
  std::vector<std::string> services() const;
  // Only those with descriptors.
  MethodList described() const;
  bool lacks_descriptors(const std::string& service) const;

 private:
  std::vector<std::string> names_;
};

}  // namespace hostcall::cli::guest
