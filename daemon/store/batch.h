// Batch: the contents of one commit. The reactor's thread makes it, nobody changes it afterwards, and the writer thread
// reads it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/store/kept_answers.h"
#include "daemon/store/record.h"

namespace hostcall::daemon::store {

struct Batch {
  // Sorted by revision.
  std::vector<Event> events;
  std::vector<KeptAnswerRef> answers;
  // Owners whose answers are all deleted before `answers` are added.
  std::vector<std::string> forgotten_owners;
  // Numbers of the KeptAnswers that memory has already forgotten, to be deleted from disk.
  std::vector<std::int64_t> stale_answers;
  // History up to this revision is deleted from disk; memory has already dropped it.
  Revision compact_revision = 0;
  // The store's revision and number of keys after the batch.
  Revision revision = 0;
  std::uint64_t keys = 0;
};

}  // namespace hostcall::daemon::store
