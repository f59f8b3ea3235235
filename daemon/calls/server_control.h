// ServerControl: what administration asks of the server.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "daemon/vms/caller.h"
#include "proto/base/clock.h"
#include "proto/base/result.h"

namespace hostcall::daemon {

// A session as it is now.
struct SessionInfo {
  std::uint64_t id;
  const Caller& caller;
  const std::string& client;  // what it calls itself, escaped
  TimePoint opened, last_received;
  std::uint64_t calls;
  std::size_t open_streams;
  std::uint64_t bytes_in, bytes_out;
};

class ServerControl {
 public:
  // In the order of their ids.
  virtual void for_each_session(const std::function<void(const SessionInfo&)>& visit) const = 0;
  // Ends the session in order. False: there is none with this id.
  [[nodiscard]] virtual bool close_session(std::uint64_t id, std::string_view why) = 0;
  // Reads all files again and takes them over, all or nothing.
  virtual Done reload() = 0;
  // A VM was registered: opens its listener. The error says why it can't be opened.
  virtual Done vm_added(const Vm& vm) = 0;
  // A VM was removed: closes its listener. Returns how many sessions this ends.
  virtual std::size_t vm_removed(const Vm& vm) = 0;
  // Records that were lost since the start.
  virtual std::uint64_t journal_records_lost() const = 0;

 protected:
  ~ServerControl() = default;
};

}  // namespace hostcall::daemon
