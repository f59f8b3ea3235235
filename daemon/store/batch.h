// Batch: the contents of one commit. The reactor's thread makes it, nobody changes it afterwards, and the writer thread
// reads it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "daemon/store/history.h"
#include "daemon/store/kept_answers.h"
#include "daemon/store/record.h"

namespace hostcall::daemon::store {

struct Batch {
  // Sorted by revision.
  std::vector<Event> events;
  std::vector<KeptAnswerRef> answers;
  // By VM, the number up to which its answers are deleted, before `answers` are added.
  std::map<std::string, std::int64_t> forgotten_answers;
  // VMs that are gone for good: their namespaces lose their share of the history.
  std::vector<std::string> purged;
  // Numbers of the KeptAnswers that memory has already forgotten, to be deleted from disk.
  std::vector<std::int64_t> stale_answers;
  // What memory has dropped of the history since the last commit, to be deleted from disk.
  History::Unsaved history;
  // History::floor().
  Revision floor = 0;
  // The store's revision and number of keys after the batch.
  Revision revision = 0;
  std::uint64_t keys = 0;
};

}  // namespace hostcall::daemon::store
