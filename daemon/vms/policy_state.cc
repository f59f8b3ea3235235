#include "daemon/vms/policy_state.h"

namespace hostcall::daemon {

const MethodPolicy& PolicyState::look_up(const PolicyInForce& force, const VmRecord& vm, const MethodName& method) {
  if (number_ != force.number) {
    by_method_.clear();
    std::erase_if(rates_, [&](const auto& rate) { return !force.policy.has_rate(rate.first); });
    number_ = force.number;
  }
  if (by_method_.size() <= method.index) by_method_.resize(method.index + 1);
  auto& entry = by_method_[method.index];
  if (!entry) entry = std::make_unique<MethodPolicy>(force.policy.for_method(vm, method.name));
  return *entry;
}

}  // namespace hostcall::daemon
