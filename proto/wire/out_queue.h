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

// What an OutQueue's owner offers so that much data need not be copied to it.
class DirectSender {
 public:
  // Sends as many of the first bytes as the socket takes now, and returns how many. An error: 0, and the owner meets it
  // again when it sends what is queued. May change the list, not the bytes.
  virtual std::size_t send_now(std::span<iovec> pieces) = 0;

 protected:
  ~DirectSender() = default;
};

class OutQueue {
 public:
  // A frame of at most so many pieces can be sent directly.
  static constexpr std::size_t kMaxFramePieces = 12;

  std::size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

  // Room for `bytes` at the end, in one piece, to be written by the caller at once.
  char* extend(std::size_t bytes);
  // Adds the bytes of the pieces, at most kMaxFramePieces. What the sender takes at once, behind all that waits, is not
  // copied.
  void send(DirectSender& sender, std::span<const iovec> frame);
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

  std::size_t send_directly(DirectSender& sender, std::span<const iovec> frame);
  void add_chunk(std::size_t bytes);
  void retire(Buffer& chunk);

  std::vector<Buffer> chunks_;
  std::unique_ptr<Spares> spares_;  // null: nothing is kept
  std::size_t head_ = 0;            // first chunk with unsent bytes
  std::size_t offset_ = 0;          // unsent bytes of it begin here
  std::size_t bytes_ = 0;
};

}  // namespace hostcall::wire
