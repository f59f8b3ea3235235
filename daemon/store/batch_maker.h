// BatchMaker: evaluates transactions one after the other, and collects their changes for one commit.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "daemon/store/batch.h"
#include "daemon/store/draft.h"
#include "daemon/store/model.h"
#include "daemon/store/sweep.h"
#include "daemon/store/transaction.h"

namespace hostcall::daemon::store {

class BatchMaker {
 public:
  // Limits of one commit, so that it does not delay the others for long, in its turns and on the disk. The last item
  // added may exceed them.
  static constexpr std::size_t kMaxTransactions = 512;
  // Comparisons and operations of all transactions, and records that sweeps look at.
  static constexpr std::size_t kMaxBatchSteps = 4096;
  static constexpr std::size_t kMaxEvents = 1024;
  // Events times watches, because each watch may have to be told of each event in the turn of the commit; but so many
  // events in any case.
  static constexpr std::size_t kMaxOffers = 64 * 1024;
  static constexpr std::size_t kLeastEvents = 16;
  // Keys and values that it writes or replaces.
  static constexpr std::size_t kMaxBytes = 4 * 1024 * 1024;
  // Steps of one sweep.
  static constexpr std::size_t kMaxSweepSteps = 4;

  // The model must not change while a maker uses it. Read-only: changes are refused.
  BatchMaker(const Model& model, bool read_only, std::size_t watches = 0)
      : model_(model),
        draft_(Draft::on(model)),
        next_number_(model.answers().next_number()),
        max_events_(std::clamp(kMaxOffers / std::max<std::size_t>(watches, 1), kLeastEvents, kMaxEvents)),
        read_only_(read_only) {}

  // The outcome takes effect when the batch is committed, or at once if there is nothing to commit.
  [[nodiscard]] Outcome add(const Transaction& transaction);
  // Adds as many steps as fit. False: there are more to come.
  [[nodiscard]] bool add(Sweep& sweep);

  bool full() const {
    return added_ >= kMaxTransactions || steps_ >= kMaxBatchSteps || draft_.events().size() >= max_events_ ||
           bytes_ >= kMaxBytes;
  }
  // Whether there is anything to commit.
  bool has_changes() const {
    return !draft_.events().empty() || !answers_.empty() || !forgotten_answers_.empty() || !purged_.empty();
  }
  Batch take() const;

 private:
  Outcome evaluate_new(const Transaction& transaction);
  KeptAnswerRef find_answer(const std::string& owner, const std::string& key) const;
  void forget_answers(Sweep& purge);
  void end_purge(const std::string& vm);
  void count_bytes(std::size_t first_event);
  const Model& model_;
  Draft draft_;
  std::vector<KeptAnswerRef> answers_;
  std::map<std::pair<std::string, std::string>, KeptAnswerRef> answers_by_key_;
  std::map<std::string, std::int64_t> forgotten_answers_;
  std::vector<std::string> purged_;
  std::int64_t next_number_;
  const std::size_t max_events_;
  std::size_t added_ = 0;
  std::size_t steps_ = 0;
  std::size_t bytes_ = 0;
  bool read_only_;
};

}  // namespace hostcall::daemon::store
