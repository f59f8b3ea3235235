// ReadSize: how much to receive next. A read that ends inside a frame costs a copy of that frame; messages of a stream
// mostly have one size, so a read asks for whole frames of the size that has just been seen.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hostcall::wire {

class ReadSize {
 public:
  // Of `most` bytes of room.
  std::size_t next(std::size_t most) const { return frame_ == 0 || frame_ > most ? most : most - most % frame_; }
  // What came was so many bytes, in which so many frames ended. `mid_frame`: the last bytes are of another frame.
  void saw(std::size_t bytes, std::uint64_t frames, bool mid_frame) {
    const bool whole = frames != 0 && !mid_frame && !was_mid_frame_;
    frame_ = whole && bytes % frames == 0 ? bytes / static_cast<std::size_t>(frames) : 0;
    was_mid_frame_ = mid_frame;
  }

 private:
  std::size_t frame_ = 0;  // bytes of each frame of the last read; 0: not known
  bool was_mid_frame_ = false;
};

}  // namespace hostcall::wire
