// ReadSize: how much to receive next. A read that ends inside a frame costs a copy of that frame. The messages of a
// stream mostly have one size, so a read asks for whole frames of the size last seen.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hostcall::wire {

class ReadSize {
 public:
  // How much of `most` bytes of room to use.
  std::size_t next(std::size_t most) const { return frame_ == 0 || frame_ > most ? most : most - most % frame_; }
  // Reports a read: its bytes, and how many frames ended in it. `mid_frame`: it ended inside another frame.
  void saw(std::size_t bytes, std::uint64_t frames, bool mid_frame) {
    const bool whole = frames != 0 && !mid_frame && !was_mid_frame_;
    frame_ = whole && bytes % frames == 0 ? bytes / static_cast<std::size_t>(frames) : 0;
    was_mid_frame_ = mid_frame;
  }

 private:
  std::size_t frame_ = 0;  // bytes of each frame in the last read; 0: unknown
  bool was_mid_frame_ = false;
};

}  // namespace hostcall::wire
