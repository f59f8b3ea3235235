// StoreBackup: Admin/StoreBackup: a copy of the store, made and read on the background thread, and sent as fast as the
// caller takes it. The copy is a file of the state directory, which has no name any more once it is complete, so that
// nothing is left of it whatever happens.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "daemon/calls/call.h"
#include "daemon/loop/background.h"
#include "daemon/loop/reactor.h"
#include "daemon/store/engine.h"
#include "hostcall/v1/admin.pb.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon {

class StoreBackup final : public CallHandler {
 public:
  // What it needs; all must outlive it.
  struct Parts {
    Reactor& reactor;
    Background& background;
    store::Engine& store;
    std::string file;  // of the copy
  };
  // While one runs, there is no other one, so that the disk has room for it. `on_end` is told how it ended.
  using OnEnd = std::function<void(const Status&)>;
  StoreBackup(Parts parts, std::shared_ptr<void> place, OnEnd on_end);
  ~StoreBackup() override;

  void on_writable() override;
  void on_drain() override { end({Code::kUnavailable, "hostcalld is stopping"}); }

 private:
  struct File;

  void start() override;
  void have_copy(const std::string& error);
  void have_opened();
  void have_read();
  void go_on();
  void on_stalled();
  void end(const Status& status);
  // Runs the work aside, and then `next`, unless this is gone.
  void aside(void (*work)(File&), void (StoreBackup::*next)());

  const Parts parts_;
  const std::shared_ptr<void> place_;
  OnEnd on_end_;
  std::unique_ptr<store::Ticket> copy_;
  std::shared_ptr<File> file_;
  const std::shared_ptr<StoreBackup*> self_ = std::make_shared<StoreBackup*>(this);
  Timer stalled_;
  v1::StoreBackupResponse message_;  // to be sent next, or being filled
  bool is_filled_ = false;
  std::uint64_t sent_ = 0;  // bytes of the copy
};

}  // namespace hostcall::daemon
