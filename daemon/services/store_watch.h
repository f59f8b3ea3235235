// StoreWatch: a Watch call. Sends what its watch of the store has, as fast as the caller takes it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "daemon/calls/call.h"
#include "daemon/loop/reactor.h"
#include "daemon/services/store_messages.h"

namespace hostcall::daemon {

class StoreWatch final : public CallHandler, private store::Watcher {
 public:
  // What the VM is charged: one watch, and the memory that its snapshot holds.
  struct Charges {
    Charge place, snapshot;
  };
  // `may`: whether policy lets the caller see a key, by the caller's name for it. `request` is already checked;
  // `prefix` is its prefix by the store's name.
  StoreWatch(store::Engine& engine, Reactor& reactor, const StoreNames& names, const v1::WatchRequest& request,
             std::string prefix, Charges charges, std::function<bool(std::string_view key)> may);

  void on_writable() override { pump(); }
  void on_drain() override;

 private:
  void start() override;
  void on_ready() override { pump(); }
  void on_progress_due();

  void pump();
  bool fill(const store::Delivery& delivery);
  void end_compacted(store::Revision compact_revision);
  bool send();
  bool is_seen(const store::Record& record) const;

  store::Engine& engine_;
  const StoreNames names_;
  const store::WatchOptions options_;
  const store::Revision began_at_;  // the caller has seen all changes up to it, or did not ask for them
  const Duration progress_interval_;
  const bool previous_;
  Charges charges_;
  const std::function<bool(std::string_view)> may_;
  Timer progress_;
  Reactor& reactor_;
  std::unique_ptr<store::Watch> watch_;
  v1::WatchResponse message_;
  bool greeted_ = false;
};

}  // namespace hostcall::daemon
