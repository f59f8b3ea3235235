// Evaluation of one transaction against a state: what it finds, what it changes, and whether it may.
#pragma once

#include "daemon/store/draft.h"
#include "daemon/store/transaction.h"

namespace hostcall::daemon::store {

// Does the operations on `draft`, which must be fresh; its changes have the revision after draft.revision(). Refused:
// the draft is useless. Idempotency is not looked at.
[[nodiscard]] Outcome evaluate(const Transaction& transaction, Draft& draft);

// A tombstone.
Ref make_tombstone(std::string_view key, Revision revision);

}  // namespace hostcall::daemon::store
