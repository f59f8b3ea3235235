// EnvironmentGuard: this process is what a service manager has started, until the test ends.
#pragma once

#include <cstdlib>
#include <map>
#include <string>

namespace hostcall::test {

using Variables = std::map<std::string, std::string>;

class EnvironmentGuard {
 public:
  explicit EnvironmentGuard(const Variables& variables) : variables_(variables) {
    for (const auto& [name, value] : variables_) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~EnvironmentGuard() {
    for (const auto& [name, value] : variables_) ::unsetenv(name.c_str());
  }
  EnvironmentGuard(const EnvironmentGuard&) = delete;
  EnvironmentGuard& operator=(const EnvironmentGuard&) = delete;

 private:
  const Variables variables_;
};

}  // namespace hostcall::test
