// WatchHub: all watches of an engine, looked up by the namespace of a change. LocalWatch: a watch, as a position in the
// history.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/store/history.h"
#include "daemon/store/model.h"
#include "daemon/store/snapshot.h"
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

  // See Engine::watch().
  [[nodiscard]] std::unique_ptr<Watch> watch(const WatchOptions& options, Watcher& watcher);
  // Offers the model's new events, from this position on, to the watches.
  void offer(History::Position from);
  // Calls on_ready() of the watches that the offered events made ready.
  void notify();
  std::size_t size() const { return size_; }

 private:
  friend class LocalWatch;
  void add(LocalWatch& watch);
  void forget(LocalWatch& watch);
  void make_ready(LocalWatch& watch);
  const Model& model_;
  // By namespace; "": watches above the namespaces.
  std::map<std::string, std::vector<LocalWatch*>, std::less<>> watches_;
  std::vector<LocalWatch*> ready_;  // null: the watch is gone
  std::size_t size_ = 0;
};

class LocalWatch final : public Watch {
 public:
  LocalWatch(WatchHub& hub, const WatchOptions& options, Watcher& watcher);
  ~LocalWatch() override { hub_.forget(*this); }

  Delivery next(std::size_t max_bytes) override;
  void taken() override;
  std::size_t take_looked_at() override { return std::exchange(looked_at_, 0); }
  std::optional<WatchPlace> place() const override;

  // Takes note of a change in the watch's namespace. True: on_ready() is due.
  bool offer(History::Position position, const Event& event);
  std::string_view space() const { return namespace_of(prefix_); }
  Watcher& watcher() const { return watcher_; }

  // The hub's: this watch's places in its lists.
  static constexpr std::size_t kNowhere = ~std::size_t{0};
  std::size_t listed_at = kNowhere;
  std::size_t ready_at = kNowhere;

 private:
  Delivery::Kind due() const;
  bool is_compacted() const;
  bool is_behind() const { return behind_ != 0 || coalescing_to_ != 0; }
  void note_in_snapshot(const Event& event);
  void end_snapshot();
  template <class Visit>
  void scan(History::Position from, Visit visit);
  void begin_part() { look_until_ = looked_at_ + kMaxLook; }
  bool is_part_over() const { return looked_at_ > look_until_; }
  void resume();
  void advance(History::Position from);
  Delivery snapshot_part(std::size_t max_bytes);
  Delivery exact();
  Delivery coalesced_part(std::size_t max_bytes);
  const History& history() const { return hub_.model_.history(); }

  WatchHub& hub_;
  const std::string prefix_;
  Watcher& watcher_;
  bool armed_;  // next() has returned kNothing, so on_ready() is owed

  std::optional<Snapshot> snapshot_;  // until its last part is taken
  bool overrun_ = false;              // the snapshot could not be kept

  std::optional<History::Position> resume_at_;  // next() counts the events from there on; nothing: all are counted
  std::size_t looked_at_ = 0;                   // events
  std::size_t look_until_ = 0;                  // the part of a scan ends when looked_at_ is above it
  bool lost_ = false;                           // the history did not reach back to from_revision
  // Of the first event to deliver, or where next() goes on looking for it; valid if behind_ or coalescing_to_ is set.
  History::Position position_ = 0;
  bool is_searching_ = false;   // position_ is not found yet
  std::size_t behind_ = 0;      // revisions to deliver, except those of a coalesced set
  Revision counted_ = 0;        // the last revision counted in behind_
  Revision coalescing_to_ = 0;  // the last revision of the current coalesced set; 0: none

  // About the last delivery, until it is taken.
  Delivery::Kind delivered_ = Delivery::Kind::kNothing;
  History::Position after_ = 0;  // the position behind it
  bool last_part_ = false;
};

}  // namespace hostcall::daemon::store
