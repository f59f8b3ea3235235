// ServerControl: the server's functions for administration.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
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

// How many connections are open, by who is at the other end. Refused ones wait for their refusal.
struct OpenConnections {
  std::size_t guests, administrators, refused;
};

// The last reload.
struct ReloadInfo {
  std::int64_t unix_nano;
  std::string failure;  // empty: it has succeeded
};

// What the server is and does, for an overview.
struct ServerFacts {
  const std::string& epoch;
  TimePoint started;
  std::int64_t started_unix_nano;
  std::vector<std::string> listeners;        // those that are not of a VM
  std::size_t vm_sockets;                    // those that are
  std::vector<std::string> missing;          // listeners: why VMs can't call, and what to do
  std::size_t connections;                   // of VMs
  std::size_t administrators;                // their connections
  const std::optional<ReloadInfo>& reload;   // nothing: none since the start
  const std::vector<std::string>& warnings;  // of the start, or of the last reload that succeeded
};

class ServerControl {
 public:
  // Visits the sessions with ids above `after`, in the order of their ids, until `visit` returns false. `vm`: only
  // those of this VM; null: all.
  virtual void for_each_session(const Vm* vm, std::uint64_t after,
                                const std::function<bool(const SessionInfo&)>& visit) const = 0;
  virtual OpenConnections connections() const = 0;
  // Ends the session with a Goaway. False: there is no session with this id.
  [[nodiscard]] virtual bool close_session(std::uint64_t id, std::string_view why) = 0;
  // Reloads all files, all or nothing; see Reloader::request().
  virtual void reload(OnReloaded done) = 0;
  // A VM was registered: opens its listener, if it has one. Fails if it can't be opened; the server then knows nothing
  // of the VM, which is to leave the registry again.
  virtual Done vm_added(Vm& vm) = 0;
  // A VM was removed: closes its listener and ends its sessions. Returns how many.
  virtual std::size_t vm_removed(const Vm& vm) = 0;
  // A VM's tags or limits were changed: decides its open calls again.
  virtual void vm_changed(const Vm& vm) = 0;
  // Record both for the operator, once nothing can take them back.
  virtual void record_added(const Vm& vm) = 0;
  virtual void record_removed(const Vm& vm) = 0;
  // Why calls of a registered VM can't arrive: which listener is missing, and what to do. Empty: they can.
  virtual std::string unreachable(const Vm& vm) const = 0;
  virtual ServerFacts facts() const = 0;
  // Records lost since the start.
  virtual std::uint64_t journal_records_lost() const = 0;

 protected:
  ~ServerControl() = default;
};

}  // namespace hostcall::daemon
