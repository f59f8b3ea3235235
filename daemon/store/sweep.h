// Sweep: deletes many keys, in steps that are transactions like any other: the keys of a session or a boot, or all keys
// of a VM. Each step goes on behind the last key of the one before, in the same batch and in later ones. A sweep
// deletes what was written before its turn in the queue, and nothing that was written later, however long it takes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "daemon/store/draft.h"
#include "daemon/store/model.h"
#include "daemon/store/transaction.h"

namespace hostcall::daemon::store {

struct Sweep {
  enum class Kind {
    kVm,           // all keys of the VM `text`, and at its first step the answers to its writes
    kSession,      // the keys of the session `text`
    kAllSessions,  // the keys of all sessions
    kBoots,        // the keys of all boots of the VM `text`, except those of the boot holder `except`
  };
  Kind kind = Kind::kVm;
  std::string text;
  std::string except;
  // Called at the end with kDone, kDiskFailed or kReadOnly. May be empty.
  std::function<void(OutcomeCode)> done;
  // The revision at its first step, which everything before it in the queue has then. Records above it stay.
  std::optional<Revision> until;
  // The same for kept answers: the number of the last one at its first step. Of a kVm only.
  std::optional<std::int64_t> answers_until;

  // How far the sweep is.
  struct Progress {
    std::size_t events = 0;  // of its first batch, which the model does not have yet
    bool in_model = false;
    Ref last;                   // the last record that it has looked at in the model
    std::size_t looked_at = 0;  // records, in all steps together
  };
  Progress progress;
};

// Records that a step looks at, at most.
inline constexpr std::size_t kMaxSweepLook = 1024;

// Runs one step on `batch`, a draft on top of the model: deletes at most 128 keys with at most 512 KiB of values (but
// at least one key), as one change at the next revision; or none, if it meets no such key. False: this was the last
// step.
[[nodiscard]] bool sweep_step(Sweep& sweep, const Model& model, Draft& batch);
// The batch is committed: the next step is the first one of another batch.
void sweep_on(Sweep& sweep);
// The batch has failed: the sweep starts again, for what was there before it.
void sweep_again(Sweep& sweep, const Model& model);

}  // namespace hostcall::daemon::store
