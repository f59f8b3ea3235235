// Access: decides calls by the policy in force. While a VM has sessions, caches the rules for each of its methods and
// the state of its rates, until the policy changes.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/calls/router.h"
#include "daemon/config/policy.h"
#include "daemon/vms/registry.h"
#include "hostcall/v1/session.pb.h"

namespace hostcall::daemon {

class Access;

// The access of one VM, shared by its sessions.
class VmAccess {
 public:
  VmAccess(const Access& access, VmRef vm) : access_(access), vm_(std::move(vm)) {}

  struct Decision {
    Status status;    // OK: allowed
    Verdict verdict;  // the rule that decided
  };
  // Decides a call and, if it is allowed, charges the rule's rate. `resource`: empty if the method has none.
  Decision decide(const Method& method, std::string_view resource, bool privileged_port, TimePoint now);
  // Whether policy allows the call. Charges no rate.
  bool allows(const Method& method, std::string_view resource, bool privileged_port);
  // Lists the guest methods that policy may allow, with their conditions, sorted by name.
  void list_allowed(const Router& router, bool privileged_port, v1::ListServicesResponse& response);

 private:
  const MethodPolicy& policy_for(const Method& method);
  const MethodPolicy& look_up(const Method& method);
  // Slow path: texts of refused calls. Inside decide() they would cost every call.
  [[gnu::cold]] Status denial(const CallQuery& query, const Verdict& verdict) const;
  [[gnu::cold]] Status over_rate(const CallQuery& query, const Rule& rule, Duration wait) const;
  Duration take_rate(const Rule& rule, TimePoint now);

  const Access& access_;
  VmRef vm_;
  std::uint64_t generation_ = 0;  // of the policy that is cached here
  std::vector<std::unique_ptr<MethodPolicy>> by_method_;
  std::unordered_map<std::uint32_t, TokenBucket> rates_;  // by rule index
};

class Access {
 public:
  explicit Access(Policy policy) : policy_(std::move(policy)) {}

  const Policy& policy() const { return policy_; }
  std::uint64_t generation() const { return generation_; }
  void replace(Policy policy);
  // The VM's access, made for its first session and shared by the others.
  std::shared_ptr<VmAccess> of(const VmRef& vm);

 private:
  Policy policy_;
  std::uint64_t generation_ = 1;
  std::unordered_map<const Vm*, std::weak_ptr<VmAccess>> by_vm_;
};

}  // namespace hostcall::daemon
