// OutQueue: bytes on their way out, in chunks, so that one writev takes many frames
// and nothing is moved while it waits. An empty queue holds no memory, unless it was told to.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "proto/base/buffer.h"

namespace hostcall::wire {

class OutQueue {
 public:
  std::size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

  // Room for `bytes` at the end, in one piece, to be written by the caller at once.
  char* extend(std::size_t bytes);
  // Fills `pieces` with the first bytes; returns how many pieces. Valid until the next change.
  std::size_t gather(std::span<iovec> pieces) const;
  // The first `bytes` have been sent.
  void consume(std::size_t bytes);
  // From now on the memory of what was sent is kept for what comes next, up to `bytes`.
  void keep_memory(std::size_t bytes);

 private:
  // Memory that is kept.
  struct Spares {
    std::vector<Buffer> buffers;
    std::size_t room = 0;  // bytes that it may hold besides
  };

  void add_chunk(std::size_t bytes);
  void retire(Buffer& chunk);

  std::vector<Buffer> chunks_;
  std::unique_ptr<Spares> spares_;  // null: nothing is kept
  std::size_t head_ = 0;            // first chunk with unsent bytes
  std::size_t offset_ = 0;          // unsent bytes of it begin here
  std::size_t bytes_ = 0;
};

}  // namespace hostcall::wire
