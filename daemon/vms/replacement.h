// Registry::Replacement: a change of all file records, on its way. See Registry::begin_replacement().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daemon/vms/claims.h"
#include "daemon/vms/registry.h"

namespace hostcall::daemon {

// What is left of one part's work.
struct Registry::Budget {
  std::size_t left;
  bool take() { return left != 0 && left-- != 0; }
};

struct Registry::Replacement {
  Replacement(std::vector<FileRecord> file_records, const Limits& new_defaults, const std::vector<OwnSocket>& own)
      : records(std::move(file_records)), defaults(new_defaults), own_sockets(own) {}

  using Step = bool (Registry::*)(Budget&);

  // Runs steps until the last one is done (true) or the budget is used up.
  bool run(Registry& registry, std::size_t records_to_handle, std::initializer_list<Step> steps) {
    for (Budget budget{records_to_handle}; step < steps.size(); next_step())
      if (!(registry.*steps.begin()[step])(budget)) return false;
    step = 0;
    return true;
  }
  void next_step() {
    ++step;
    at = 0;
    name.clear();
  }
  // Goes on with a list, or with the VMs in a table; true: at its end.
  template <class Handle>
  bool each_of(std::size_t size, Budget& budget, Handle handle) {
    while (at < size && budget.take()) handle(at++);
    return at == size;
  }
  template <class Handle>
  bool each_vm(const VmTables& vms, Budget& budget, Handle handle) {
    auto next = vms.all().upper_bound(name);
    for (; next != vms.all().end() && budget.take(); ++next) {
      handle(next->second);
      name = next->first;
    }
    return next == vms.all().end();
  }

  // Why the record may not be added meanwhile, if the replacement is the reason.
  std::optional<Refusal> refuse_new(const VmRecord& record) const;

  std::vector<FileRecord> records;
  const Limits defaults;
  OwnSockets own_sockets;
  VmTables tables;  // as they will be; after the commit, as they were
  bool committed = false;
  Change change;
  std::vector<VmRef> unwritten;     // VMs that are not in the runtime directory yet
  std::vector<std::string> unused;  // names that may have to leave it
  std::size_t step = 0;
  std::size_t at = 0;  // in the list of this step
  std::string name;    // of the VM that this step had last
};

}  // namespace hostcall::daemon
