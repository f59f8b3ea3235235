// The services of services.d that other servers of the host serve, as methods for the router.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/calls/router.h"
#include "daemon/services/backend.h"
#include "daemon/services/host_call.h"

namespace hostcall::daemon {

class RoutedServices final : public Routes {
 public:
  // The longest name of a method.
  static constexpr std::size_t kMaxMethodName = 128;

  // What the environment refers to must outlive this, and this all calls.
  explicit RoutedServices(const HostCallEnvironment& environment)
      : environment_(environment), backends_(environment.reactor, environment.timeouts, environment.own_pid) {}

  std::shared_ptr<Method> find(std::string_view service, std::string_view method, wire::Shape asked) const override;
  std::vector<std::string> names() const override;

 private:
  // What find() has found last: callers tend to repeat one method.
  struct Last {
    std::shared_ptr<Method> method;
    wire::Shape asked{};
    std::uint64_t generation = 0;  // of the services
  };

  std::shared_ptr<Method> look_up(std::string_view service, std::string_view method, wire::Shape asked) const;

  const HostCallEnvironment environment_;
  mutable Backends backends_;
  mutable Last last_;
};

}  // namespace hostcall::daemon
