// Sweep: the removal of many keys at once, in steps that are transactions like others: what a session or a boot held,
// or all below a prefix.
#pragma once

#include <functional>
#include <string>

#include "daemon/store/draft.h"
#include "daemon/store/model.h"
#include "daemon/store/transaction.h"

namespace hostcall::daemon::store {

struct Sweep {
  enum class Kind {
    kVm,           // all keys of the VM `text`, and the answers to its writes
    kSession,      // what the session `text` holds
    kAllSessions,  // what any session holds
    kBoots,        // what boots of the VM `text` hold, but for the boot holder `except`
  };
  Kind kind = Kind::kVm;
  std::string text;
  std::string except;
  // Called when it is over: kDone, kDiskFailed or kReadOnly. May be empty.
  std::function<void(OutcomeCode)> done;
};

// Deletes at most 128 keys with at most 512 KiB of values (but one at least) of those that the state `batch` on top of
// the model has, as one change with the next revision. False: none was left.
[[nodiscard]] bool sweep_step(const Sweep& sweep, const Model& model, Draft& batch);

}  // namespace hostcall::daemon::store
