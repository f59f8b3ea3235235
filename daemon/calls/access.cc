#include "daemon/calls/access.h"

#include <algorithm>

namespace hostcall::daemon {

void Access::replace(Policy policy) {
  policy_ = std::move(policy);
  ++generation_;
}

std::shared_ptr<VmAccess> Access::of(const VmRef& vm) {
  auto& entry = by_vm_[vm.get()];
  auto access = entry.lock();
  if (access) return access;
  access = std::make_shared<VmAccess>(*this, vm);
  entry = access;
  std::erase_if(by_vm_, [](const auto& item) { return item.second.expired(); });
  return access;
}

const MethodPolicy& VmAccess::policy_for(const Method& method) {
  if (generation_ == access_.generation() && method.index < by_method_.size() && by_method_[method.index])
    return *by_method_[method.index];
  return look_up(method);
}

const MethodPolicy& VmAccess::look_up(const Method& method) {
  if (generation_ != access_.generation()) {
    by_method_.clear();
    rates_.clear();
    generation_ = access_.generation();
  }
  if (by_method_.size() <= method.index) by_method_.resize(method.index + 1);
  auto& entry = by_method_[method.index];
  if (!entry) entry = std::make_unique<MethodPolicy>(access_.policy().for_method(vm_->record, method.name));
  return *entry;
}

Duration VmAccess::take_rate(const Rule& rule, TimePoint now) {
  return rates_.try_emplace(rule.index, rule.rate, rule.burst).first->second.take(now);
}

bool VmAccess::allows(const Method& method, std::string_view resource, bool privileged_port) {
  return policy_for(method)
      .decide({.method = method.name, .resource = resource, .privileged_port = privileged_port})
      .allowed;
}

VmAccess::Decision VmAccess::decide(const Method& method, std::string_view resource, bool privileged_port,
                                    TimePoint now) {
  const CallQuery query{.method = method.name, .resource = resource, .privileged_port = privileged_port};
  const auto verdict = policy_for(method).decide(query);
  if (!verdict.allowed) return {denial(query, verdict), verdict};
  if (verdict.rule->rate == 0) return {{}, verdict};
  const auto wait = take_rate(*verdict.rule, now);
  if (wait == Duration::zero()) return {{}, verdict};
  return {over_rate(query, *verdict.rule, wait), verdict};
}

Status VmAccess::denial(const CallQuery& query, const Verdict& verdict) const {
  return {Code::kPermissionDenied, verdict_text(vm_->record, query, verdict)};
}

Status VmAccess::over_rate(const CallQuery& query, const Rule& rule, Duration wait) const {
  return {Code::kResourceExhausted,
          "VM \"" + vm_->record.name + "\": " + std::string(query.method) + " is over the rate of " + rule.file + ":" +
              std::to_string(rule.line) + "; retry in " +
              std::to_string(std::chrono::ceil<milliseconds>(wait).count()) + " ms",
          wait};
}

void VmAccess::list_allowed(const Router& router, bool privileged_port, v1::ListServicesResponse& response) {
  std::vector<const Method*> methods;
  for (const auto& method : router.methods())
    if (method->audience == Audience::kGuest) methods.push_back(method.get());
  std::ranges::sort(methods, {}, &Method::name);
  for (const auto* method : methods) {
    v1::AllowedMethod allowed;
    bool may = false;
    for (const auto* rule : policy_for(*method).rules()) {
      if (rule->require_privileged_port && !privileged_port) continue;
      if (!rule->allow && rule->resources.empty()) break;
      if (!rule->allow) continue;
      may = true;
      allowed.set_rate_per_second(rule->rate);
      for (const auto& resource : rule->resources) allowed.add_resources(resource);
      if (!rule->resources.empty()) continue;
      allowed.clear_resources();
      break;
    }
    if (!may) continue;
    allowed.set_method(method->name);
    *response.add_methods() = std::move(allowed);
  }
}

}  // namespace hostcall::daemon
