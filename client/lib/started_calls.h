// StartedCalls: the calls of a client that go on by themselves (hostcall_start), in slots whose memory is used
// again. An id names a slot and its use, so that one of an ended call is harmless.
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

  // Begins the call; the spec's memory may go at once. HOSTCALL_OK: the callback will run. Otherwise the call
  // was refused, and it never runs.
  int start(const CallSpec& spec, hostcall_callback callback, void* user, std::uint64_t& id, TimePoint now);
  // Does nothing if the call has ended.
  void cancel(std::uint64_t id);

 private:
  class Slot;

  Slot& free_slot();

  Channel& channel_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::uint32_t> free_;  // indices of slots without a call
};

}  // namespace hostcall::client
