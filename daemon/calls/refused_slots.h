// RefusedSlots: how many connections wait for their refusal, for each caller. A refused caller is told why when it
// makes its first request; until then its connection costs a descriptor. Each caller has slots of its own, so that none
// takes the answers of others.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>

#include "daemon/vms/caller.h"

namespace hostcall::daemon {

class RefusedSlots {
 public:
  explicit RefusedSlots(std::size_t per_caller) : per_caller_(per_caller) {}

  // False: all slots of this caller are taken.
  bool take(const Caller& caller) {
    auto& taken = taken_[key_of(caller)];
    if (taken == per_caller_) return false;
    ++taken;
    ++total_;
    return true;
  }
  // Gives back what take() has taken.
  void release(const Caller& caller) {
    const auto at = taken_.find(key_of(caller));
    if (--at->second == 0) taken_.erase(at);
    --total_;
  }
  std::size_t total() const { return total_; }

 private:
  // A VM by its name; whoever is no VM by its CID, or by the listener, which is a VM's own.
  static std::string key_of(const Caller& caller) {
    if (caller.vm) return "vm " + caller.vm->record.name;
    if (caller.peer.family == net::Address::Family::kVsock) return "cid " + std::to_string(caller.peer.cid);
    return *caller.listener;
  }

  const std::size_t per_caller_;
  std::unordered_map<std::string, std::size_t> taken_;
  std::size_t total_ = 0;
};

}  // namespace hostcall::daemon
