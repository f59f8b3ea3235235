// Batch: what one commit writes. Made by the reactor's thread, not changed afterwards, read by the writer thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/store/kept_answers.h"
#include "daemon/store/record.h"

namespace hostcall::daemon::store {

struct Batch {
  // In the order of revisions.
  std::vector<Event> events;
  std::vector<KeptAnswerRef> answers;
  // Owners whose answers go, all of them, before `answers` come.
  std::vector<std::string> forgotten_owners;
  // KeptAnswers that the memory has forgotten already.
  std::vector<std::int64_t> stale_answers;
  // History up to this revision goes from the disk; the memory has dropped it already.
  Revision compact_revision = 0;
  // After the batch.
  Revision revision = 0;
  std::uint64_t keys = 0;
};

}  // namespace hostcall::daemon::store
