// The part of hostcall.v1.Admin about services.d: its services, and the calls that use them.
#pragma once

#include <string>

#include "daemon/calls/router.h"
#include "daemon/services/admin_service.h"
#include "hostcall/v1/admin.pb.h"

namespace hostcall::daemon {

class ServiceAdmin {
 public:
  // A page of RunList looks at so many calls, so that no turn is long.
  static constexpr std::size_t kMostLookedAt = 4096;

  explicit ServiceAdmin(const AdminParts& parts) : parts_(parts) {}

  Status list(const v1::ServiceListRequest& request, v1::ServiceListResponse& response) const;
  Status show(const v1::ServiceShowRequest& request, v1::ServiceShowResponse& response) const;
  Handler check() const;
  Status list_runs(const v1::RunListRequest& request, v1::RunListResponse& response) const;
  Status kill_run(const v1::RunKillRequest& request, v1::RunKillResponse& response) const;

 private:
  Status no_service(const std::string& name) const;
  Status check_filter(const v1::RunListRequest& request) const;

  const AdminParts parts_;
};

}  // namespace hostcall::daemon
