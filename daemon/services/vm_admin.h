// The VM part of hostcall.v1.Admin: lists, adds and removes VMs.
#pragma once

#include <string>

#include "daemon/calls/router.h"
#include "daemon/services/admin_service.h"
#include "daemon/services/late_answer.h"
#include "hostcall/v1/admin.pb.h"

namespace hostcall::daemon {

class VmAdmin {
 public:
  explicit VmAdmin(const AdminParts& parts) : parts_(parts) {}

  Status list(const v1::VmListRequest& request, v1::VmListResponse& response) const;
  Status show(const v1::VmShowRequest& request, v1::VmShowResponse& response) const;
  // These two answer late where they must wait for the disk.
  Status add(const v1::VmAddRequest& request, v1::VmAddResponse& response, Handler& handler) const;
  Status remove(const v1::VmRemoveRequest& request, v1::VmRemoveResponse& response, Handler& handler) const;

 private:
  struct Removal;

  void fill_state(const Vm& vm, v1::VmState& state) const;
  Status take_back(const Vm& vm, Code code, const std::string& why) const;
  Status remove_now(Removal& removal) const;
  void purge(const Removal& removal) const;
  // Runs the work on the background thread, then `then` with its outcome.
  template <class Work, class Then>
  void on_disk(Work work, Then then) const;

  const AdminParts parts_;
};

// "no VM is named …"
Status no_vm(std::string_view name);

// How many entries a page of a list has at most: 0 stands for as many as possible.
std::size_t page_size(std::uint32_t asked);

}  // namespace hostcall::daemon
