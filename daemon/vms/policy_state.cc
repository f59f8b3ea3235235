#include "daemon/vms/policy_state.h"

namespace hostcall::daemon {

const MethodPolicy& PolicyState::look_up(const PolicyInForce& force, const VmRecord& vm, const MethodName& method) {
  if (number_ != force.number) {
    by_method_.clear();
    by_name_.clear();
    std::erase_if(rates_, [&](const auto& rate) { return !force.policy.has_rate(rate.first); });
    number_ = force.number;
  }
  if (method.index == MethodName::kNoIndex) return look_up_name(force, vm, method.name);
  if (by_method_.size() <= method.index) by_method_.resize(method.index + 1);
  auto& entry = by_method_[method.index];
  if (!entry) entry = std::make_unique<MethodPolicy>(force.policy.for_method(vm, method.name));
  return *entry;
}

const MethodPolicy& PolicyState::look_up_name(const PolicyInForce& force, const VmRecord& vm, std::string_view name) {
  if (const auto at = by_name_.find(name); at != by_name_.end()) return at->second;
  if (by_name_.size() >= kMostNames) by_name_.clear();
  return by_name_.emplace(name, force.policy.for_method(vm, name)).first->second;
}

}  // namespace hostcall::daemon
