// Evaluates one transaction against a state: what it finds, what it changes, and whether it is allowed.
#pragma once

#include "daemon/store/draft.h"
#include "daemon/store/transaction.h"

namespace hostcall::daemon::store {

// Runs the operations on `draft`, which must be empty; its changes get the revision after draft.revision(). If the
// transaction is refused, the draft is unusable. Ignores idempotency.
[[nodiscard]] Outcome evaluate(const Transaction& transaction, Draft& draft);

Ref make_tombstone(std::string_view key, Revision revision);

}  // namespace hostcall::daemon::store
