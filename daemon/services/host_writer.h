// HostWriter: the bytes that a caller sends to a descriptor of the host. Keeps what the descriptor does not take yet,
// charged to the VM, and gives the caller credit for what it has taken.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "daemon/calls/call.h"
#include "daemon/services/host_fd.h"

namespace hostcall::daemon {

class HostWriter {
 public:
  enum class [[nodiscard]] Outcome : std::uint8_t{
      kTaken,     // written or kept
      kNoMemory,  // the VM's memory does not suffice
      kBroken,    // nobody will read these bytes, and those that were kept
  };
  // `memory` is an empty charge.
  HostWriter(HostFd& fd, Charge memory) : fd_(fd), memory_(std::move(memory)) {}

  // Takes the bytes of a message, which must come in order. While `held`, they are only kept.
  Outcome take(std::string_view bytes, std::size_t message_bytes, Call& call, bool held = false);
  // Writes what was kept. Call it when the descriptor is writable.
  Outcome flush(Call& call);
  // Nothing is kept.
  bool is_empty() const { return waiting_.empty(); }
  // Drops what was kept, and from now on all that comes.
  void give_up(Call& call);
  // What was kept, from one daemon to the next. False: the VM's memory does not suffice.
  void hand_over(handover::HostCall& out) const;
  [[nodiscard]] bool resume(const handover::HostCall& in);
  // Bytes that the descriptor has taken.
  std::uint64_t written() const { return written_; }

 private:
  struct Waiting {
    std::string bytes;
    std::size_t message_bytes;
  };
  Outcome write_some(std::string_view bytes, std::size_t& taken);

  HostFd& fd_;
  Charge memory_;
  std::deque<Waiting> waiting_;
  std::size_t front_taken_ = 0;  // of the first one that waits
  std::uint64_t written_ = 0;
  bool given_up_ = false;
};

}  // namespace hostcall::daemon
