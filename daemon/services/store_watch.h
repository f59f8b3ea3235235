// StoreWatch: a Watch call. Sends what its watch of the store has, as fast as the caller takes it and in turns with the
// other watches. While the caller takes nothing, it does nothing.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "daemon/calls/call.h"
#include "daemon/loop/reactor.h"
#include "daemon/services/store_messages.h"
#include "daemon/services/store_turns.h"

namespace hostcall::daemon {

class StoreWatch final : public CallHandler, private store::Watcher, private WatchTurn {
 public:
  // What a watch takes of memory, beside what its snapshot keeps.
  static constexpr std::size_t kOwnBytes = 1024;
  // All must outlive the watch.
  struct Environment {
    store::Engine& engine;
    Reactor& reactor;
    WatchTurns& turns;
  };
  // What the VM is charged: one watch, and its memory, of which there are kOwnBytes.
  struct Charges {
    Charge place, memory;
  };
  // Whether policy lets the caller see a key, by the caller's name for it. Adds to `looked_at` the number of rules that
  // it took.
  using May = std::function<bool(std::string_view key, std::size_t& looked_at)>;
  // `request` is already checked;
  // `prefix` is its prefix by the store's name. The caller must outlive the watch. `earlier`: another daemon's watch,
  // on which it goes on; null: none.
  StoreWatch(const Environment& environment, const Caller& caller, const v1::WatchRequest& request, std::string prefix,
             Charges charges, May may, const handover::Watch* earlier = nullptr);
  ~StoreWatch() override { environment_.turns.remove(*this); }

  bool is_portable() const override { return watch_ && watch_->place(); }
  void hand_over(handover::Call& call, Outgoing& parcel) const override;
  void on_writable() override;
  void on_drain() override;

 private:
  void start() override;
  void resumed() override { start(); }
  void on_ready() override { environment_.turns.add(*this); }
  bool keep(std::size_t bytes) override;
  bool take_turn(std::size_t& work) override;
  void on_progress_due();

  bool is_ready();
  bool greet();
  bool send_next(std::size_t& work);
  std::optional<std::size_t> fill_some(const store::Delivery& delivery, v1::WatchResponse& message);
  bool fill(store::Delivery& delivery, v1::WatchResponse& message);
  void end(const store::Delivery& delivery);
  void end_compacted(store::Revision compact_revision);
  bool send(const v1::WatchResponse& message);
  void await_progress();
  bool is_seen(const store::Record& record) { return may_(names_.shown(record.key()), rules_looked_at_); }

  const Environment environment_;
  const Caller& caller_;
  const StoreNames names_;
  const store::WatchOptions options_;
  const store::Revision began_at_;  // the caller has seen all changes up to it, or did not ask for them
  const Duration progress_interval_;
  const bool previous_;
  Charges charges_;
  const May may_;
  std::size_t rules_looked_at_ = 0;
  Timer progress_;
  std::unique_ptr<store::Watch> watch_;
  bool greeted_;
  bool blocked_ = false;          // until on_writable()
  std::size_t unsent_bytes_ = 0;  // of the message that was not sent
};

}  // namespace hostcall::daemon
