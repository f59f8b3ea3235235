// ServerControl: the server's functions for administration.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

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
  // Visits the sessions in the order of their ids.
  virtual void for_each_session(const std::function<void(const SessionInfo&)>& visit) const = 0;
  // Ends the session with a Goaway. False: there is no session with this id.
  [[nodiscard]] virtual bool close_session(std::uint64_t id, std::string_view why) = 0;
  // Reloads all files, all or nothing.
  virtual Done reload() = 0;
  // A VM was registered: opens its listener, if it has one. Fails if it can't be opened.
  virtual Done vm_added(const Vm& vm) = 0;
  // A VM was removed: closes its listener and ends its sessions. Returns how many.
  virtual std::size_t vm_removed(const Vm& vm) = 0;
  // Records lost since the start.
  virtual std::uint64_t journal_records_lost() const = 0;

 protected:
  ~ServerControl() = default;
};

}  // namespace hostcall::daemon
