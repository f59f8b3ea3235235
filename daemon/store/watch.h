// Watch: the changes below a prefix, pulled by who sends them on. It holds no queue, only a position in the history; so
// a reader that does not read costs nothing, and a writer never waits for one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/store/record.h"

namespace hostcall::daemon::store {

// Revisions that a watch may be behind (of those that it watches) before it gets the latest state of each key instead
// of every change.
inline constexpr std::size_t kMaxBehind = 1000;

struct WatchOptions {
  // What is watched: a key, or all below "…/".
  std::string prefix;
  // First revision whose changes come; 0: those after now. Not together with `snapshot`.
  Revision from_revision = 0;
  // The items of now come first, then the changes after now.
  bool snapshot = false;
};

struct Delivery {
  enum class Kind : std::uint8_t {
    kNothing,    // all is delivered; on_ready() will tell when there is more
    kSnapshot,   // `items`: a part of the snapshot, sorted by key; the last may be empty
    kEvents,     // `events`: all of one revision, sorted by key
    kCoalesced,  // `events`: the latest change of each key that has changed, in the order of revisions; maybe a part of
                 // them
    kCompacted,  // the end: the history does not reach back to where this watch is
  };
  Kind kind = Kind::kNothing;
  // Whoever has taken it has seen all changes up to this revision; 0 in all parts but the last. kNothing: up to which
  // nothing is missing.
  Revision revision = 0;
  std::vector<Ref> items;
  std::vector<Event> events;
  // Of kCompacted.
  Revision compact_revision = 0;
};

// Told when there is something to take.
class Watcher {
 public:
  // Comes once after next() said kNothing (and at a new watch without snapshot and from_revision). May call the watch,
  // and destroy it. From Engine::process() only.
  virtual void on_ready() = 0;

 protected:
  ~Watcher() = default;
};

// Destroying it ends it. Its engine and Watcher must outlive it.
class Watch {
 public:
  virtual ~Watch() = default;
  // The next delivery. A kEvents is never split; other kinds have about `max_bytes` of keys and values (previous ones
  // too) and one item at least. The same again until taken() is called, or the next kind: a reader that was slow
  // meanwhile gets a kCoalesced, or kCompacted.
  virtual Delivery next(std::size_t max_bytes) = 0;
  // The last delivery was sent; call it after each one but kNothing and kCompacted.
  virtual void taken() = 0;
  // Keys and values of the snapshot not taken yet: what the watch keeps from being freed.
  virtual std::size_t held_bytes() const = 0;
};

}  // namespace hostcall::daemon::store
