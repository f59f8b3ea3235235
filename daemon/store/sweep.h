// Sweep: deletes many keys, in steps that are transactions like any other: the keys of a session or a boot, or all keys
// of a VM.
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
    kSession,      // the keys of the session `text`
    kAllSessions,  // the keys of all sessions
    kBoots,        // the keys of all boots of the VM `text`, except those of the boot holder `except`
  };
  Kind kind = Kind::kVm;
  std::string text;
  std::string except;
  // Called at the end with kDone, kDiskFailed or kReadOnly. May be empty.
  std::function<void(OutcomeCode)> done;
};

// Runs one step on `batch`, a draft on top of the model: deletes at most 128 keys with at most 512 KiB of values (but
// at least one key), as one change at the next revision. False: none was left.
[[nodiscard]] bool sweep_step(const Sweep& sweep, const Model& model, Draft& batch);

}  // namespace hostcall::daemon::store
