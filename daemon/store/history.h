// History: the latest changes in order, for watches. It is bounded, and each namespace has a share of it that no other
// namespace's changes use up. Dropping changes compacts their namespace: revisions up to its compact_revision() can't
// be watched any more.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/store/record.h"

namespace hostcall::daemon::store {

// The limits apply to the history in memory; the history on disk follows with the next commit.
struct HistoryLimits {
  // Of all namespaces together, unless their shares alone are more. Counts all texts of the records in the events,
  // including those that are also in the index: a holder may be longer than a key.
  std::size_t bytes = 32 * 1024 * 1024;
  // What a namespace has for itself. Above it, it uses what the shares of the others leave; when that is used up, the
  // namespace that is furthest above its share loses its oldest changes.
  std::size_t share = 1024 * 1024;
  // What an event costs beside its texts.
  std::size_t event_bytes = 256;
};

class History {
 public:
  // The place of an event, in the order of all changes: revision << 8 | number within the revision. Also its id on
  // disk.
  using Position = std::uint64_t;
  static constexpr int kNumberBits = 8;
  static constexpr Position position_of(Revision revision) { return static_cast<Position>(revision) << kNumberBits; }
  static constexpr Revision revision_of(Position position) { return static_cast<Revision>(position >> kNumberBits); }

  struct Entry {
    Event event;
    // The revision of the next change of the same key; 0: there is none.
    Revision superseded = 0;
  };
  struct Compaction {
    Revision revision = 0;  // revisions up to it are compacted
    bool has_share = true;
  };
  // What has changed since mark_saved(), and must be written to disk.
  struct Unsaved {
    std::vector<Position> dropped;
    // By namespace; none: nothing is known of it any more.
    std::map<std::string, std::optional<Compaction>> compactions;
  };

  explicit History(const HistoryLimits& limits) : limits_(limits) {}

  // Events must come in the order of their revisions. Only trim() drops any.
  void append(const Event& event);
  // Drops the oldest revisions of namespaces that are above their share, each as a whole, until the limits hold.
  void trim();
  // The namespace has no share until something changes in it again: its VM is gone for good.
  void forget(std::string_view space);

  // For loading, in this order: the compaction of namespaces without one of their own, that of others, then the events.
  void set_floor(Revision revision) { floor_ = highest_ = revision; }
  void restore_compaction(std::string_view space, const Compaction& compaction);
  void restore(const Event& event, Position position);

  // Revisions up to it are compacted in this namespace (empty: in any namespace).
  Revision compact_revision(std::string_view space) const;
  // The same for namespaces of which nothing is known.
  Revision floor() const { return floor_; }
  const Unsaved& unsaved() const { return unsaved_; }
  void mark_saved() { unsaved_ = {}; }

  std::size_t size() const { return entries_.size(); }
  std::size_t bytes() const { return bytes_; }
  std::size_t bytes_of(std::string_view space) const;
  // Behind the last event.
  Position end() const { return end_; }
  const Entry& at(Position position) const { return entries_.at(position); }

  // Calls visit(position, entry) for each event from `from` on in this namespace (empty: in all), until it returns
  // false.
  template <class Visit>
  void scan(std::string_view space, Position from, Visit visit) const;

 private:
  using Entries = std::map<Position, Entry>;
  struct Lane {
    std::deque<Entries::iterator> entries;
    std::size_t bytes = 0;
    bool has_share = true;
    Revision compacted = 0;
  };
  using Lanes = std::map<std::string, Lane, std::less<>>;

  Lanes::iterator lane_of(std::string_view space);
  void set_use(Lane& lane, std::size_t bytes, bool has_share);
  void set_share(Lanes::iterator lane, bool has_share);
  std::size_t excess(const Lane& lane) const;
  std::size_t cost(const Event& event) const { return limits_.event_bytes + event.kept_bytes(); }
  void save_compaction(const std::string& space, const Lane& lane);
  void drop_revision(Lane& lane);
  void drop_first(Lane& lane);
  void remove_if_forgotten(Lanes::iterator lane);

  HistoryLimits limits_;
  Entries entries_;
  Position end_ = 0;
  std::size_t bytes_ = 0;
  // By namespace, so that a watch of one VM's keys does not wade through those of all others.
  Lanes lanes_;
  // The lanes above their share, by how much; the last one loses its changes first.
  std::set<std::pair<std::size_t, Lane*>> above_share_;
  // The latest change of each key; the views point into the events.
  std::unordered_map<std::string_view, Entries::iterator> latest_;
  Revision floor_ = 0;
  Revision highest_ = 0;  // what is compacted in any namespace
  Unsaved unsaved_;
};

template <class Visit>
void History::scan(std::string_view space, Position from, Visit visit) const {
  if (space.empty()) {
    for (auto at = entries_.lower_bound(from); at != entries_.end(); ++at)
      if (!visit(at->first, at->second)) return;
    return;
  }
  const auto lane = lanes_.find(space);
  if (lane == lanes_.end()) return;
  const auto& entries = lane->second.entries;
  const auto before = [](const Entries::iterator& at, Position position) { return at->first < position; };
  for (auto next = std::lower_bound(entries.begin(), entries.end(), from, before); next != entries.end(); ++next)
    if (!visit((*next)->first, (*next)->second)) return;
}

}  // namespace hostcall::daemon::store
