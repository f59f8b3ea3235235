// PolicyState: what a VM keeps of the policy: the rules for each method that it has called, until the policy changes,
// and how much is left of each rate, as long as the VM is registered. So a reload or a new connection gives no VM back
// what it has used of a rule that is still there.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/config/policy.h"
#include "daemon/vms/quota.h"

namespace hostcall::daemon {

// The policy in force. Each policy has a number of its own, above 0.
struct PolicyInForce {
  Policy policy;
  std::uint64_t number = 1;
};

// A method, by its position in the router.
struct MethodName {
  static constexpr std::uint32_t kNoIndex = ~std::uint32_t{0};
  std::uint32_t index;  // kNoIndex: of a routed service, found by its name
  std::string_view name;
};

class PolicyState {
 public:
  // The rules for the VM's calls to a method, valid until the next call of this, or the policy changes.
  const MethodPolicy& rules(const PolicyInForce& force, const VmRecord& vm, const MethodName& method) {
    if (number_ == force.number && method.index < by_method_.size() && by_method_[method.index])
      return *by_method_[method.index];
    return look_up(force, vm, method);
  }
  // The VM's record has changed, so other rules may match. Rates stay.
  void forget_rules() { number_ = 0; }
  // What is left of a rule's rate. The rule must have one and belong to the policy that rules() had last.
  TokenBucket& rate(const Rule& rule) {
    return rates_.try_emplace(rule.fingerprint, rule.rate, rule.burst).first->second;
  }

  // All rates of which something is used, by the rule's fingerprint.
  const std::unordered_map<std::uint64_t, TokenBucket>& rates() const { return rates_; }
  // What another daemon has left of a rate.
  void resume(std::uint64_t rule, const TokenBucket& rate) { rates_.insert_or_assign(rule, rate); }

 private:
  // A guest can invent names, so no more of them than this are kept.
  static constexpr std::size_t kMostNames = 16;

  const MethodPolicy& look_up(const PolicyInForce& force, const VmRecord& vm, const MethodName& method);
  const MethodPolicy& look_up_name(const PolicyInForce& force, const VmRecord& vm, std::string_view name);

  std::uint64_t number_ = 0;  // of the policy that by_method_ points into
  std::vector<std::unique_ptr<MethodPolicy>> by_method_;
  std::map<std::string, MethodPolicy, std::less<>> by_name_;  // of routed methods
  std::unordered_map<std::uint64_t, TokenBucket> rates_;      // by the rule's fingerprint
};

}  // namespace hostcall::daemon
