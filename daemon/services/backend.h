// Backend: the connections to the server of one routed service. With Protocol::kTtrpc each call takes one for itself,
// and those that are free are kept for the next ones; with kHostcall all calls share one.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon/config/service_record.h"
#include "daemon/loop/reactor.h"
#include "daemon/services/backend_link.h"
#include "proto/base/result.h"

namespace hostcall::daemon {

class Backend final : private BackendLinkOwner {
 public:
  // How many free connections are kept, and for how long.
  static constexpr std::size_t kMaxFree = 16;
  static constexpr Duration kFreeLimit = seconds(60);

  // `own_pid`: whose sockets no service may be.
  Backend(LinkEnvironment& environment, std::shared_ptr<const ServiceRecord> service, pid_t own_pid);
  ~Backend();

  const ServiceRecord& service() const { return *service_; }
  // A connection for a call alone, taken from those that are free if `reuse`, or a new one. EAGAIN: the server's
  // backlog is full.
  Result<std::unique_ptr<BackendLink>> take(bool reuse);
  // Returns it. `clean`: its call has ended as it should, so that the next one can use it if all has been sent.
  void give_back(std::unique_ptr<BackendLink> link, bool clean);
  // The connection for all calls, valid until its calls are told that it is lost. Perhaps not ready yet.
  Result<BackendLink*> share();
  // How often it has connected so far, or tried to.
  std::uint64_t attempts() const { return attempts_; }
  std::size_t connections() const { return free_.size() + (shared_ ? 1 : 0) + leaving_.size(); }

 private:
  struct Free {
    std::unique_ptr<BackendLink> link;
    TimePoint since;
  };

  void on_lost(BackendLink& link) override;
  Result<std::unique_ptr<BackendLink>> connect();
  void drop(std::unique_ptr<BackendLink> link);
  void drop_old();
  void drop_left();
  void look_later();

  LinkEnvironment& environment_;
  Reactor& reactor_;
  const std::shared_ptr<const ServiceRecord> service_;
  const pid_t own_pid_;
  std::uint64_t attempts_ = 0;
  std::vector<Free> free_;  // the one that became free last is the last
  std::unique_ptr<BackendLink> shared_;
  TimePoint shared_used_;
  std::vector<std::unique_ptr<BackendLink>> leaving_;  // take no more calls, and have some
  Timer free_timer_;
};

// The backends of all routed services.
class Backends {
 public:
  Backends(Reactor& reactor, const Timeouts& timeouts, pid_t own_pid)
      : environment_{.reactor = reactor, .timeouts = timeouts}, own_pid_(own_pid) {}

  // That of a service as its entry is now. Calls keep that of the entry as it was when they began.
  std::shared_ptr<Backend> of(const std::shared_ptr<const ServiceRecord>& service);

 private:
  LinkEnvironment environment_;
  const pid_t own_pid_;
  std::map<std::string, std::shared_ptr<Backend>, std::less<>> by_name_;
};

}  // namespace hostcall::daemon
