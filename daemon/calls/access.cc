#include "daemon/calls/access.h"

#include <algorithm>
#include <utility>

namespace hostcall::daemon {
namespace {

std::string plain_count(double number) { return std::to_string(static_cast<std::uint64_t>(number)); }

std::string milliseconds_text(Duration wait) {
  return std::to_string(std::chrono::ceil<milliseconds>(wait).count()) + " ms";
}

// Fills in what the listed `rules` may allow. False: nothing.
bool fill_allowed(const std::vector<const Rule*>& rules, v1::AllowedMethod& allowed) {
  for (const auto* rule : rules) {
    if (!rule->allow) break;  // for any resource
    allowed.set_rate_per_second(rule->rate);
    for (const auto& resource : rule->resources) {
      if (static_cast<std::size_t>(allowed.resources_size()) == kMostListed) break;
      allowed.add_resources(resource);
    }
    if (rule->resources.empty()) allowed.clear_resources();
  }
  return !rules.empty() && rules.front()->allow;
}

}  // namespace

Policy Access::exchange(Policy policy) {
  ++force_.number;
  return std::exchange(force_.policy, std::move(policy));
}

CallQuery VmAccess::query_of(const Ask& ask) const {
  return {.method = ask.method->name, .resource = ask.resource, .privileged_port = privileged_port_};
}

Verdict VmAccess::verdict_of(const Ask& ask) const {
  return vm_.policy.rules(force_, vm_.record, {ask.method->index, ask.method->name}).decide(query_of(ask));
}

bool VmAccess::allows(const Ask& ask, std::size_t& looked_at) const {
  const auto verdict = verdict_of(ask);
  looked_at += verdict.looked_at;
  return verdict.allowed;
}

std::optional<Refusal> VmAccess::decide_again(const Ask& ask, std::size_t& looked_at) const {
  const auto verdict = verdict_of(ask);
  looked_at += verdict.looked_at;
  return verdict.allowed ? std::nullopt : std::optional(denial(ask, verdict));
}

std::optional<Refusal> VmAccess::decide(std::span<const Ask> asks, std::size_t writes, TimePoint now) {
  costs_.clear();
  for (const auto& ask : asks) {
    const auto verdict = verdict_of(ask);
    looked_at_ += verdict.looked_at;
    if (!verdict.allowed) {
      costs_.clear();
      return denial(ask, verdict);
    }
    if (allowed_by_ == nullptr) allowed_by_ = verdict.rule;
    if (verdict.rule->rate != 0) add_cost(*verdict.rule, ask);
  }
  if (writes != 0)
    costs_.push_back({.bucket = &vm_.store_write_rate,
                      .rule = nullptr,
                      .method = asks.front().method,
                      .always = static_cast<double>(writes)});
  return costs_.empty() ? std::nullopt : pay(now);
}

void VmAccess::add_cost(const Rule& rule, const Ask& ask) {
  auto at = std::ranges::find(costs_, &rule, &Cost::rule);
  if (at == costs_.end())
    at = costs_.insert(at, {.bucket = &vm_.policy.rate(rule), .rule = &rule, .method = ask.method});
  switch (ask.branch) {
    case Ask::Branch::kAlways: ++at->always; break;
    case Ask::Branch::kThen: ++at->then; break;
    case Ask::Branch::kElse: ++at->otherwise; break;
  }
}

// Looks at all rates before it takes anything off one, so that the wait is long enough for all of them.
std::optional<Refusal> VmAccess::pay(TimePoint now) {
  const Cost* longest = nullptr;
  Duration wait{};
  for (const auto& cost : costs_) {
    if (!cost.bucket->can_hold(cost.amount())) {
      auto refusal = over_burst(cost);
      costs_.clear();
      return refusal;
    }
    if (const auto own = cost.bucket->wait_for(now, cost.amount()); own > wait) {
      wait = own;
      longest = &cost;
    }
  }
  if (longest != nullptr) {
    auto refusal = over_rate(*longest, wait);
    costs_.clear();
    return refusal;
  }
  for (const auto& cost : costs_) (void)cost.bucket->take(now, cost.amount());
  return std::nullopt;
}

void VmAccess::give_back() {
  for (const auto& cost : costs_) cost.bucket->give_back(cost.amount());
  costs_.clear();
}

Refusal VmAccess::denial(const Ask& ask, const Verdict& verdict) const {
  const auto text = [&](Reader reader) {
    return std::string(ask.reason) + verdict_text(vm_.record, query_of(ask), verdict, reader);
  };
  return {{Code::kPermissionDenied, text(Reader::kGuest)}, text(Reader::kOperator), ask.method, verdict};
}

Refusal VmAccess::over_rate(const Cost& cost, Duration wait) const {
  const char* limit = cost.rule != nullptr ? "rule_rate" : "store_write_rate";
  return {{Code::kResourceExhausted, over_rate_text(cost, wait, Reader::kGuest), wait, {}, limit},
          over_rate_text(cost, wait, Reader::kOperator),
          cost.method,
          std::nullopt};
}

std::string VmAccess::over_rate_text(const Cost& cost, Duration wait, Reader reader) const {
  const auto retry = "; retry in " + milliseconds_text(wait);
  if (cost.rule != nullptr)
    return title() + cost.method->name + " is over the rate of " + place_of(*cost.rule, reader) + retry;
  return title() + "the limit store_write_rate (" + std::to_string(vm_.quota.limits().store_write_rate) +
         ") is reached" + retry;
}

// Waiting would not help.
Refusal VmAccess::over_burst(const Cost& cost) const {
  return {{Code::kInvalidArgument, over_burst_text(cost, Reader::kGuest)},
          over_burst_text(cost, Reader::kOperator),
          cost.method,
          std::nullopt};
}

std::string VmAccess::over_burst_text(const Cost& cost, Reader reader) const {
  const auto amount = plain_count(cost.amount());
  if (cost.rule != nullptr)
    return title() + "the request makes " + amount + " calls that " + place_of(*cost.rule, reader) +
           " allows at a rate, whose burst never holds more than " + plain_count(cost.rule->burst) +
           "; make fewer at once";
  return title() + amount + " writes at once can never be made, because the limit store_write_burst is " +
         std::to_string(vm_.quota.limits().store_write_burst) + "; put fewer writes in one transaction";
}

std::size_t VmAccess::list_allowed(const Router& router, v1::ListServicesResponse& response) const {
  std::size_t looked_at = 0;
  const auto routed = router.routed_names();
  std::vector<MethodName> methods;
  for (const auto& method : router.methods())
    if (method->audience == Audience::kGuest) methods.push_back({method->index, method->name});
  for (const auto& name : routed) methods.push_back({MethodName::kNoIndex, name});
  std::ranges::sort(methods, {}, &MethodName::name);
  for (const auto& method : methods) {
    v1::AllowedMethod allowed;
    const auto rules = vm_.policy.rules(force_, vm_.record, method).listed(privileged_port_, looked_at);
    if (!fill_allowed(rules, allowed)) continue;
    allowed.set_method(std::string(method.name));
    *response.add_methods() = std::move(allowed);
  }
  return methods.size() + looked_at / kRulesPerUnit;
}

}  // namespace hostcall::daemon
