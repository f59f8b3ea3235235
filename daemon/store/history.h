// History: the latest changes in order, for watches. It is bounded: dropping changes compacts the history, and
// revisions up to compact_revision() can't be watched any more.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "daemon/store/record.h"

namespace hostcall::daemon::store {

// The limits apply to the history in memory; the history on disk follows with the next commit.
struct HistoryLimits {
  std::size_t events = 100'000;
  // Keys and values of all records in the events, including those that are also in the index.
  std::size_t bytes = 32 * 1024 * 1024;
};

class History {
 public:
  // The number of an event since the start; never reused.
  using Position = std::uint64_t;
  struct Entry {
    Event event;
    // The revision of the next change of the same key; 0: there is none.
    Revision superseded = 0;
  };

  explicit History(const HistoryLimits& limits) : limits_(limits) {}

  // Events must come in the order of their revisions. Only trim() drops any.
  void append(const Event& event);
  // Drops the oldest revisions, each as a whole, until the limits hold.
  void trim();
  // For loading: restores the compaction of earlier runs.
  void set_compact_revision(Revision revision) { compact_revision_ = revision; }

  Revision compact_revision() const { return compact_revision_; }
  std::size_t size() const { return entries_.size(); }
  std::size_t bytes() const { return bytes_; }
  Position begin() const { return first_; }
  Position end() const { return first_ + entries_.size(); }
  const Entry& at(Position position) const { return entries_[position - first_]; }
  // The first event of this revision or a later one.
  Position find(Revision revision) const;

  // Calls visit(position, entry) for each event from `from` on in this namespace (empty: in all), until it returns
  // false.
  template <class Visit>
  void scan(std::string_view space, Position from, Visit visit) const;

 private:
  using Lane = std::deque<Position>;
  void drop_first();
  HistoryLimits limits_;
  std::deque<Entry> entries_;
  Position first_ = 0;
  std::size_t bytes_ = 0;
  Revision compact_revision_ = 0;
  // Positions by namespace, so that a watch of one VM's keys does not wade through those of all others.
  std::map<std::string, Lane, std::less<>> lanes_;
  // The latest change of each key; the views point into the events.
  std::unordered_map<std::string_view, Position> latest_;
};

template <class Visit>
void History::scan(std::string_view space, Position from, Visit visit) const {
  if (space.empty()) {
    for (auto position = std::max(from, begin()); position < end(); ++position)
      if (!visit(position, at(position))) return;
    return;
  }
  const auto lane = lanes_.find(space);
  if (lane == lanes_.end()) return;
  const auto& positions = lane->second;
  for (auto next = std::lower_bound(positions.begin(), positions.end(), from); next != positions.end(); ++next)
    if (!visit(*next, at(*next))) return;
}

}  // namespace hostcall::daemon::store
