// The VM part of hostcall.v1.Admin: lists, adds, changes and removes VMs.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "daemon/calls/router.h"
#include "daemon/services/admin_action.h"
#include "daemon/services/admin_service.h"
#include "hostcall/v1/admin.pb.h"

namespace hostcall::daemon {

class VmAdmin {
 public:
  explicit VmAdmin(const AdminParts& parts) : parts_(parts) {}

  Status list(const v1::VmListRequest& request, v1::VmListResponse& response) const;
  Status show(const v1::VmShowRequest& request, v1::VmShowResponse& response) const;
  // These answer late where they must wait for the disk.
  Status add(const v1::VmAddRequest& request, v1::VmAddResponse& response, LateAnswerPtr& later) const;
  Status set(const v1::VmSetRequest& request, v1::VmSetResponse& response, LateAnswerPtr& later) const;
  Status remove(const v1::VmRemoveRequest& request, v1::VmRemoveResponse& response, LateAnswerPtr& later) const;

 private:
  struct Removal;
  // Names of VMs whose records are on their way to the disk or off it. Nobody changes these meanwhile, and nobody
  // removes one that is being changed, or a record could come back.
  struct DiskWork {
    std::multiset<std::string> names, changes;
  };
  enum class Sort : bool { kChange, kOther };
  // Until the last copy of the token is gone.
  std::shared_ptr<void> begin_disk_work(const std::string& name, Sort sort) const;
  static Status another_change(const std::string& name);

  void fill_state(const Vm& vm, v1::VmState& state) const;
  Status take_back(const Vm& vm, Code code, const std::string& why) const;
  Status remove_now(Removal& removal) const;
  void purge(const Removal& removal) const;
  Status set_now(const VmRecord& record, v1::VmSetResponse& response) const;
  // Runs the work on the background thread, then `then` with its outcome.
  template <class Work, class Then>
  void on_disk(Work work, Then then) const;

  const AdminParts parts_;
  // Shared, because the work on the disk may outlive this.
  const std::shared_ptr<DiskWork> disk_work_ = std::make_shared<DiskWork>();
};

// "no VM is named …"
Status no_vm(std::string_view name);

// How many entries a page of a list has at most: 0 stands for as many as possible.
std::size_t page_size(std::uint32_t asked);

}  // namespace hostcall::daemon
