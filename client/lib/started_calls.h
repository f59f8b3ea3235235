// StartedCalls: a client's asynchronous calls (hostcall_start), in slots whose memory is reused. An id names a slot and
// its generation, so that the id of an ended call does no harm.
#pragma once

#include <hostcall/hostcall.h>

#include <memory>
#include <optional>
#include <vector>

#include "client/lib/channel.h"

namespace hostcall::client {

class StartedCalls {
 public:
  explicit StartedCalls(Channel& channel);
  ~StartedCalls();
  StartedCalls(const StartedCalls&) = delete;
  StartedCalls& operator=(const StartedCalls&) = delete;

  // Begins the call and copies what it needs of the spec. HOSTCALL_OK: the callback will run. Otherwise the call was
  // refused, and the callback never runs.
  int start(const CallSpec& spec, hostcall_callback callback, void* user, std::uint64_t& id, TimePoint now);
  // Cancels the call unless it has ended.
  void cancel(std::uint64_t id);

 private:
  class Slot;

  Slot& free_slot();

  Channel& channel_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::uint32_t> free_;  // indices of slots without a call
};

}  // namespace hostcall::client
