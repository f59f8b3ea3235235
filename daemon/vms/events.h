// Events: the newest records of the journal, in memory, for `hostcallctl events`. They are in lanes, each with bounds
// of its own: however much guests cause, what administrators did and what became of VMs stays. Readers keep nothing but
// a position. One that is too slow loses the oldest events, and is told how many.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/loop/journal.h"
#include "proto/base/linked_list.h"

namespace hostcall::daemon {

// A record. All texts are escaped, and bounded as in the journal.
struct Event {
  std::uint64_t number;  // of its time, microseconds since 1970; each event has a higher one, also after a restart
  Level level;
  MessageId id;
  std::string text;
  std::vector<std::pair<std::string, std::string>> fields;  // names as in Field

  // The field's value; empty: it has none.
  std::string_view field(std::string_view name) const;
  std::size_t bytes() const;
};

// The name of a kind of records: "denied".
std::string_view event_kind(MessageId id);
// Whether a kind has this name.
bool is_event_kind(std::string_view name);
// All names, for messages.
std::string event_kinds();

// Waits for the next event.
class EventFollower : private Linked {
 public:
  virtual ~EventFollower() = default;

 protected:
  // There is one. It no longer waits. Called while the record is written, so the work must come later.
  virtual void on_event() = 0;

 private:
  friend class Events;
  friend class LinkedList<EventFollower>;
};

class Events final : public JournalObserver {
 public:
  // Of each lane. Records of 300 bytes are usual, so that some 1,000 fit.
  static constexpr std::size_t kMaxRecords = 1024;
  static constexpr std::size_t kMaxBytes = 1024 * 1024;

  // `unix_micros`: the time; null: the host's.
  explicit Events(std::int64_t (*unix_micros)() = nullptr);

  void on_record(Level level, MessageId id, std::string_view message, std::initializer_list<Field> fields) override;

  static constexpr std::size_t kLanes = 4;
  // What a reader has read: in each lane, how many events it or others before it have seen.
  using Position = std::array<std::uint64_t, kLanes>;
  // Behind the event of this number; 0: before the oldest. `lost` tells whether events behind it are gone.
  Position behind(std::uint64_t number, bool& lost) const;
  // The next event, and moves behind it. Null: there is none. Adds to `lost` how many were dropped unread. The event is
  // valid until the next record.
  const Event* next(Position& position, std::uint64_t& lost) const;
  // The number of the newest event; 0: there is none.
  std::uint64_t newest() const { return last_number_; }
  // on_event() follows, once.
  void wait(EventFollower& follower) { waiting_.push_back(follower); }

 private:
  struct Lane {
    std::deque<Event> events;
    std::uint64_t dropped = 0;         // events before the first
    std::uint64_t dropped_number = 0;  // of the newest of those
    std::size_t bytes = 0;
  };
  static void drop_oldest(Lane& lane);

  std::int64_t (*const unix_micros_)();
  std::array<Lane, kLanes> lanes_;
  std::uint64_t last_number_ = 0;
  LinkedList<EventFollower> waiting_;
};

}  // namespace hostcall::daemon
