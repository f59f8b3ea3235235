// ReceiveBuffer: two blocks of memory for a link's input. A large message may stay in its block until its owner is done
// with it; the other block takes further input meanwhile.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "proto/wire/read_size.h"

namespace hostcall::client {

class ReceiveBuffer {
 public:
  // Fits four messages of 64 KiB with their headers.
  static constexpr std::size_t kBytes = 260 * 1024;

  // Room for the next receive, in a block that holds no message.
  std::span<char> room() {
    if (blocks_[current_].use_count() > 1) current_ ^= 1;
    if (!blocks_[current_]) blocks_[current_] = std::make_shared_for_overwrite<char[]>(kBytes);
    asked_ = size_.next(kBytes);
    return {blocks_[current_].get(), asked_};
  }
  // Whether a receive of this size filled the room, so that there may be more.
  bool was_filled(std::size_t bytes) const { return bytes == asked_; }
  // Reports what was received; see ReadSize::saw().
  void saw(std::size_t bytes, std::uint64_t frames, bool mid_frame) { size_.saw(bytes, frames, mid_frame); }
  // The bytes of the last receive.
  const char* data() const { return blocks_[current_].get(); }
  // Holds the message's block while the result lives. Null: copy the message, because it is small, lies elsewhere, or
  // the other block is held already.
  std::shared_ptr<const char[]> hold(std::string_view message) const {
    constexpr std::less<const char*> before;
    const bool inside = !before(message.data(), data()) && before(message.data(), data() + kBytes);
    if (!inside || message.size() < kWorthHolding || blocks_[current_ ^ 1].use_count() > 1) return nullptr;
    return blocks_[current_];
  }

 private:
  static constexpr std::size_t kWorthHolding = 16 * 1024;

  std::array<std::shared_ptr<char[]>, 2> blocks_;  // at most one is held
  std::size_t current_ = 0;
  std::size_t asked_ = 0;
  wire::ReadSize size_;
};

}  // namespace hostcall::client
