// HostCalls: the calls that use a service of services.d now, for administrators.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "daemon/config/service_record.h"
#include "daemon/vms/caller.h"
#include "proto/base/clock.h"

namespace hostcall::daemon {

// A call as an administrator sees it.
struct HostCallInfo {
  const Caller& caller;
  const ServiceRecord& service;
  std::string place;  // the program's unit, or the socket's address; empty: the program does not run yet
  TimePoint began;
  std::uint64_t bytes_in, bytes_out;  // from the caller, and to it
};

class ListedHostCall {
 public:
  virtual HostCallInfo info() const = 0;
  // Ends the call, and its program.
  virtual void end_by_administrator() = 0;

 protected:
  ~ListedHostCall() = default;
};

// By numbers that no later call gets again. Keeps a constant number of bytes for each, which the call is charged for.
class HostCalls {
 public:
  // The call must be removed before it dies.
  std::uint64_t add(ListedHostCall& call);
  // The same for a call that has its number from another daemon. False: another call has it.
  [[nodiscard]] bool add_again(std::uint64_t number, ListedHostCall& call);
  void remove(std::uint64_t number) { calls_.erase(number); }
  // Null: there is none.
  ListedHostCall* find(std::uint64_t number) const;
  // Visits the calls with numbers above `after`, in their order, until `visit` returns false.
  void for_each(std::uint64_t after, const std::function<bool(std::uint64_t, const ListedHostCall&)>& visit) const;

 private:
  std::map<std::uint64_t, ListedHostCall*> calls_;
  std::uint64_t last_ = 0;
};

}  // namespace hostcall::daemon
