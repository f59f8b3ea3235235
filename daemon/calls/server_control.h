// ServerControl: the server's functions for administration.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/calls/reloader.h"
#include "daemon/vms/caller.h"
#include "proto/base/clock.h"
#include "proto/base/result.h"

namespace hostcall::daemon {

// A session's current state.
struct SessionInfo {
  std::uint64_t id;
  const Caller& caller;
  const std::string& client;  // the client's own name, escaped
  TimePoint opened, last_received;
  std::uint64_t calls;
  std::size_t open_streams;
  std::uint64_t bytes_in, bytes_out;
};

class ServerControl {
 public:
  // Visits the sessions with ids above `after`, in the order of their ids, until `visit` returns false. `vm`: only
  // those of this VM; null: all.
  virtual void for_each_session(const Vm* vm, std::uint64_t after,
                                const std::function<bool(const SessionInfo&)>& visit) const = 0;
  // Ends the session with a Goaway. False: there is no session with this id.
  [[nodiscard]] virtual bool close_session(std::uint64_t id, std::string_view why) = 0;
  // Reloads all files, all or nothing; see Reloader::request().
  virtual void reload(OnReloaded done) = 0;
  // A VM was registered: opens its listener, if it has one. Fails if it can't be opened; the server then knows nothing
  // of the VM, which is to leave the registry again.
  virtual Done vm_added(Vm& vm) = 0;
  // A VM was removed: closes its listener and ends its sessions. Returns how many.
  virtual std::size_t vm_removed(const Vm& vm) = 0;
  // Why calls of a registered VM can't arrive: which listener is missing, and what to do. Empty: they can.
  virtual std::string unreachable(const Vm& vm) const = 0;
  // Records lost since the start.
  virtual std::uint64_t journal_records_lost() const = 0;

 protected:
  ~ServerControl() = default;
};

}  // namespace hostcall::daemon
