// Model: the committed state in memory. Belongs to the reactor's thread, which applies only changes that are on disk.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "daemon/store/batch.h"
#include "daemon/store/history.h"
#include "daemon/store/kept_answers.h"
#include "daemon/store/key.h"
#include "daemon/store/record.h"
#include "daemon/store/state.h"

namespace hostcall::daemon::store {

// Sorts by the boot or session that ends the key, then by key.
struct HolderOrder {
  struct Point {
    Lifetime lifetime;
    std::string_view holder;
  };
  using is_transparent = void;
  bool operator()(const Ref& a, const Ref& b) const;
  bool operator()(const Ref& a, const Point& b) const;
  bool operator()(const Point& a, const Ref& b) const;
};
using HolderIndex = std::set<Ref, HolderOrder>;

class Model final : public State {
 public:
  explicit Model(const HistoryLimits& limits) : history_(limits) {}

  Ref find(std::string_view key) const override;
  Usage usage(const std::string& owner) const override;
  Revision revision() const override { return revision_; }
  const Index& index() const { return index_; }
  // Visits the records that the prefix covers, in key order, from the first key greater than `after` (empty: from the
  // first), until visit() returns false.
  template <class Visit>
  void scan(std::string_view prefix, std::string_view after, Visit visit) const;
  // Keys that end with a boot or a session.
  const HolderIndex& holders() const { return holders_; }
  const History& history() const { return history_; }
  const KeptAnswers& answers() const { return answers_; }
  // Bytes of keys and values of all records.
  std::uint64_t bytes() const { return bytes_; }

  // Applies a committed batch.
  void apply(const Batch& batch);
  // Enforces the history's limits. Call it after watches were offered the changes of apply().
  void trim_history() { history_.trim(); }

  // For loading, before anything is applied. Keys, events and answers must each come in order; finish_restore() comes
  // last.
  void restore(const Ref& record);
  // For History's part; see there.
  History& history_to_restore() { return history_; }
  void restore_answer(const KeptAnswerRef& answer) { answers_.add(answer); }
  void finish_restore(Revision revision);

 private:
  void remove(const Ref& record);
  void account(const Record& record, bool add);
  Index index_;
  HolderIndex holders_;
  History history_;
  KeptAnswers answers_;
  std::map<std::string, Usage, std::less<>> usage_;
  std::uint64_t bytes_ = 0;
  Revision revision_ = 0;
};

template <class Visit>
void Model::scan(std::string_view prefix, std::string_view after, Visit visit) const {
  auto at = after >= prefix ? index_.upper_bound(after) : index_.lower_bound(prefix);
  while (at != index_.end() && covers(prefix, (*at)->key()) && visit(*at)) ++at;
}

}  // namespace hostcall::daemon::store
