// Admin: hostcall.v1.Admin, what hostcallctl asks. Offered on the admin socket only; see proto/hostcall/v1/admin.proto.
#pragma once

#include "daemon/calls/server.h"
#include "hostcall/v1/admin.hostcall.h"

namespace hostcall::daemon {

class Admin {
 public:
  Admin(Server& server, const Parts& parts) : server_(server), parts_(parts) {}
  // The Admin must outlive the router's use of it.
  void register_methods(Router& router);

 private:
  Status vm_list(v1::VmListResponse& response) const;
  Status vm_show(const v1::VmShowRequest& request, v1::VmShowResponse& response) const;
  Status vm_add(const v1::VmAddRequest& request, v1::VmAddResponse& response);
  Status vm_remove(const v1::VmRemoveRequest& request, v1::VmRemoveResponse& response, Later& later);
  Status policy_check(const v1::PolicyCheckRequest& request, v1::PolicyCheckResponse& response) const;
  Status policy_explain(const v1::PolicyExplainRequest& request, v1::PolicyExplainResponse& response) const;
  Status reload(v1::ReloadResponse& response);
  Status session_list(const v1::SessionListRequest& request, v1::SessionListResponse& response) const;
  Status session_close(const v1::SessionCloseRequest& request);
  Status stats(v1::StatsResponse& response) const;

  void fill_state(const Vm& vm, v1::VmState& state) const;

  Server& server_;
  const Parts parts_;
};

}  // namespace hostcall::daemon
