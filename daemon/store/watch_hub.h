// WatchHub: all watches of an engine, found by the namespace of what has changed; and the watches themselves, each a
// position in the history.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/store/history.h"
#include "daemon/store/model.h"
#include "daemon/store/watch.h"

namespace hostcall::daemon::store {

class LocalWatch;

// Must outlive its watches.
class WatchHub {
 public:
  // `model` must outlive the hub.
  explicit WatchHub(const Model& model) : model_(model) {}
  ~WatchHub();
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  // As Engine::watch().
  [[nodiscard]] std::unique_ptr<Watch> watch(const WatchOptions& options, Watcher& watcher);
  // The model has got new events, from this position on.
  void offer(History::Position from);
  // Calls those for whom there was something among them.
  void notify();
  std::size_t size() const { return size_; }

 private:
  friend class LocalWatch;
  void add(LocalWatch& watch);
  void forget(LocalWatch& watch);
  const Model& model_;
  // By namespace; "": above them.
  std::map<std::string, std::vector<LocalWatch*>, std::less<>> watches_;
  std::vector<LocalWatch*> ready_;  // null: gone meanwhile
  std::size_t size_ = 0;
};

class LocalWatch final : public Watch {
 public:
  LocalWatch(WatchHub& hub, const WatchOptions& options, Watcher& watcher);
  ~LocalWatch() override { hub_.forget(*this); }

  Delivery next(std::size_t max_bytes) override;
  void taken() override;
  std::size_t held_bytes() const override { return snapshot_bytes_; }

  // A change in the watch's namespace. True: on_ready() is due.
  bool offer(History::Position position, const Event& event);
  std::string_view space() const { return namespace_of(prefix_); }
  Watcher& watcher() const { return watcher_; }

 private:
  Delivery::Kind due() const;
  void take_snapshot();
  void resume(Revision from);
  void advance(History::Position from);
  Delivery snapshot_part(std::size_t max_bytes);
  Delivery exact();
  Delivery coalesced_part(std::size_t max_bytes);
  const History& history() const { return hub_.model_.history(); }

  WatchHub& hub_;
  const std::string prefix_;
  Watcher& watcher_;
  bool armed_;  // next() has said that there is nothing

  bool in_snapshot_ = false;
  std::vector<Ref> snapshot_;
  std::size_t snapshot_at_ = 0;
  std::size_t snapshot_bytes_ = 0;
  Revision snapshot_revision_ = 0;

  bool lost_ = false;               // the history did not reach back to from_revision
  History::Position position_ = 0;  // of the first event to deliver, if behind_ or coalescing_to_
  std::size_t behind_ = 0;          // revisions to deliver, but for those of a coalesced set
  Revision counted_ = 0;            // the last of them
  Revision coalescing_to_ = 0;      // the last revision of the coalesced set; 0: in none

  // Of the last delivery, until it is taken.
  Delivery::Kind delivered_ = Delivery::Kind::kNothing;
  History::Position after_ = 0;  // position behind it
  std::size_t part_items_ = 0;   // of the snapshot
  std::size_t part_bytes_ = 0;
  bool last_part_ = false;
};

}  // namespace hostcall::daemon::store
