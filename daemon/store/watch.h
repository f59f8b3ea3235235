// Watch: the changes below a prefix, pulled by their consumer. It has no queue, only a position in the history, so a
// slow reader costs nothing and a writer never waits for one. While it reads a snapshot, it keeps the records of keys
// that change before they are read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/store/record.h"

namespace hostcall::daemon::store {

// A watch that is more than this many (watched) revisions behind gets the latest state of each key instead of every
// change.
inline constexpr std::size_t kMaxBehind = 1000;

// How many changes of the history a watch looks at in one part.
inline constexpr std::size_t kMaxLook = 2000;

// Where a watch is in the history, for another one that goes on there, perhaps in another process.
struct WatchPlace {
  std::uint64_t position = 0;  // of the next event to look at; see History::Position
  Revision coalescing_to = 0;  // the last revision of the coalesced set that it is delivering; 0: none
};

struct WatchOptions {
  // A key, or "…/" for all keys below it.
  std::string prefix;
  // The first revision to deliver; 0: changes from now on. Can't be combined with `snapshot`.
  Revision from_revision = 0;
  // Delivers the current items first, then the changes after them.
  bool snapshot = false;
  // Goes on where another watch was. Takes precedence over the others.
  std::optional<WatchPlace> place = std::nullopt;
};

struct Delivery {
  enum class Kind : std::uint8_t {
    kNothing,    // everything is delivered; on_ready() will announce more
    kLooking,    // nothing yet: next() has looked at a part of the history, and goes on when it is called again
    kSnapshot,   // `items`: a part of the snapshot, sorted by key; may be empty
    kEvents,     // `events`: all changes of one revision, sorted by key
    kCoalesced,  // `events`: the latest change of each changed key, or a part of them, sorted by revision
    kCompacted,  // the end: the history no longer reaches back to the watch's position
    kOverrun,    // the end: the watch may not keep what its snapshot needs
  };
  Kind kind = Kind::kNothing;
  // Once this delivery is taken, the consumer has seen all changes up to this revision; 0 in all parts but the last.
  // For kNothing: the revision up to which nothing is missing.
  Revision revision = 0;
  // Whether this is the last part of a snapshot, whose revision may be 0.
  bool last = false;
  std::vector<Ref> items;
  std::vector<Event> events;
  // Only for kCompacted.
  Revision compact_revision = 0;
};

// Notified when there is something to take.
class Watcher {
 public:
  // Called once after next() returned kNothing (or after the start of a watch without snapshot and from_revision), and
  // only from Engine::process(). May call and destroy the watch.
  virtual void on_ready() = 0;
  // The watch keeps so many bytes now, or will, if they are more than before. False: it may not keep more; then it
  // keeps nothing and ends with kOverrun.
  virtual bool keep(std::size_t bytes) = 0;

 protected:
  ~Watcher() = default;
};

// The destructor ends the watch. Its engine and Watcher must outlive it.
class Watch {
 public:
  virtual ~Watch() = default;
  // The next delivery. A kEvents is never split; other kinds have about `max_bytes` of keys and values (including
  // previous values), if anything. Until taken() is called, it returns the same delivery again, unless the
  // reader has fallen behind meanwhile: then a kCoalesced or kCompacted.
  virtual Delivery next(std::size_t max_bytes) = 0;
  // Marks the last delivery as sent. Call it after every delivery except kNothing, kLooking and those that end the
  // watch.
  virtual void taken() = 0;
  // How many changes of the history next() and taken() have looked at since the last call: work, whatever they found.
  // Each of them looks at a few times kMaxLook at most.
  virtual std::size_t take_looked_at() = 0;
  // Where it is. Nothing: no other can go on, because it is in a snapshot or ends.
  virtual std::optional<WatchPlace> place() const = 0;
};

}  // namespace hostcall::daemon::store
