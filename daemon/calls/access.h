// Access: decides calls by the policy in force and by the VM's rates. What it looks up and what is left of each rate
// belongs to the Vm (PolicyState).
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daemon/calls/router.h"
#include "daemon/vms/policy_state.h"
#include "daemon/vms/registry.h"
#include "hostcall/v1/session.pb.h"

namespace hostcall::daemon {

// How policy or a rate refuses a call.
struct Refusal {
  Status status;                  // for the caller
  std::string record;             // the same for the operator, with whole paths
  const Method* method;           // of the call that is refused
  std::optional<Verdict> denial;  // nothing: a rate refuses
};

// The access of one session of a VM.
class VmAccess {
 public:
  // All must outlive this.
  VmAccess(const PolicyInForce& force, Vm& vm, bool privileged_port)
      : force_(force), vm_(vm), privileged_port_(privileged_port) {}

  // A request begins.
  void begin() {
    costs_.clear();
    looked_at_ = 0;
    allowed_by_ = nullptr;
  }
  // Decides all that a request asks, and takes it off the rates: all or nothing. Nothing: allowed.
  std::optional<Refusal> decide(std::span<const Ask> asks, std::size_t writes, TimePoint now);
  // The rule that has allowed the first call of this request. Null: none has. Valid until the policy changes.
  const Rule* allowed_by() const { return allowed_by_; }
  // Returns what decide() took for this request, because it is refused all the same.
  void give_back();
  // How many rules decide() has looked at for this request, or since they were taken: work, whatever it decided.
  std::size_t looked_at() const { return looked_at_; }
  std::size_t take_looked_at() { return std::exchange(looked_at_, 0); }
  // Decides once more a call that was allowed. Takes nothing off a rate. Adds to `looked_at` as allows() does.
  std::optional<Refusal> decide_again(const Ask& ask, std::size_t& looked_at) const;
  // Whether policy allows the call. Takes nothing off a rate. Adds to `looked_at` the number of rules that it took.
  bool allows(const Ask& ask, std::size_t& looked_at) const;
  // Lists the guest methods that policy may allow, with their conditions, sorted by name. Returns the units that
  // it took, which are bounded whatever the policy: one for each method that was looked at, and more for many rules.
  std::size_t list_allowed(const Router& router, v1::ListServicesResponse& response) const;

 private:
  // What a request takes off one rate.
  struct Cost {
    TokenBucket* bucket;
    const Rule* rule;      // null: the VM's rate of writes
    const Method* method;  // the first that the rule allows
    double always = 0, then = 0, otherwise = 0;
    double amount() const { return always + std::max(then, otherwise); }
  };
  CallQuery query_of(const Ask& ask) const;
  Verdict verdict_of(const Ask& ask) const;
  void add_cost(const Rule& rule, const Ask& ask);
  std::optional<Refusal> pay(TimePoint now);
  // Slow path: texts of refused calls. Inside decide() they would cost every call.
  [[gnu::cold]] Refusal denial(const Ask& ask, const Verdict& verdict) const;
  [[gnu::cold]] Refusal over_rate(const Cost& cost, Duration wait) const;
  [[gnu::cold]] Refusal over_burst(const Cost& cost) const;
  std::string over_rate_text(const Cost& cost, Duration wait, Reader reader) const;
  std::string over_burst_text(const Cost& cost, Reader reader) const;
  std::string title() const { return "VM \"" + vm_.record.name + "\": "; }

  const PolicyInForce& force_;
  Vm& vm_;
  std::vector<Cost> costs_;  // of the last decide()
  std::size_t looked_at_ = 0;
  const Rule* allowed_by_ = nullptr;
  bool privileged_port_;
};

class Access {
 public:
  explicit Access(Policy policy) : force_{.policy = std::move(policy)} {}

  const Policy& policy() const { return force_.policy; }
  // Puts another policy in force. Each VM keeps what it has used of the rates of rules that are also in the new one.
  void replace(Policy policy) { (void)exchange(std::move(policy)); }
  // The same; returns the old policy, so that the caller chooses when to free it.
  Policy exchange(Policy policy);
  VmAccess of(Vm& vm, bool privileged_port) const { return {force_, vm, privileged_port}; }

 private:
  PolicyInForce force_;
};

}  // namespace hostcall::daemon
