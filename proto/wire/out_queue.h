// OutQueue: bytes on their way out, in a list of chunks, so that one writev takes many frames and nothing is moved
// while it waits. An empty queue holds no memory.
#pragma once

#include <sys/uio.h>

#include <cassert>
#include <cstddef>
#include <span>

#include "proto/wire/chunk_pool.h"

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

  // `pool` keeps the memory of what was sent, and must outlive the queue. Null: it is freed at once.
  explicit OutQueue(ChunkPool* pool = nullptr) : pool_(pool) {}
  ~OutQueue() { consume(bytes_); }
  OutQueue(const OutQueue&) = delete;
  OutQueue& operator=(const OutQueue&) = delete;

  std::size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

  // Room for `bytes`, at least one, at the end, in one piece, to be written by the caller at once.
  char* extend(std::size_t bytes) {
    if (tail_ == nullptr || tail_->room() < bytes) add_chunk(bytes);
    char* at = tail_->data() + tail_->size;
    tail_->size += bytes;
    bytes_ += bytes;
    return at;
  }
  // Adds the bytes of the pieces, at most kMaxFramePieces. What the sender takes at once, behind all that waits, is not
  // copied.
  void send(DirectSender& sender, std::span<const iovec> frame);
  // Fills `pieces` with the first bytes; returns how many pieces. Valid until the next change.
  std::size_t gather(std::span<iovec> pieces) const {
    std::size_t count = 0;
    std::size_t skip = offset_;
    for (auto* chunk = head_; chunk != nullptr && count < pieces.size(); chunk = chunk->next) {
      pieces[count++] = {chunk->data() + skip, chunk->size - skip};
      skip = 0;
    }
    return count;
  }
  // The first `bytes` have been sent.
  void consume(std::size_t bytes) {
    assert(bytes <= bytes_);
    bytes_ -= bytes;
    offset_ += bytes;
    while (head_ != nullptr && offset_ >= head_->size) {
      offset_ -= head_->size;
      drop_head();
    }
  }

 private:
  std::size_t send_directly(DirectSender& sender, std::span<const iovec> frame);
  void add_chunk(std::size_t bytes);
  void drop_head() {
    auto* sent = head_;
    head_ = sent->next;
    if (head_ == nullptr) tail_ = nullptr;
    pool_ != nullptr ? pool_->put(sent) : Chunk::free(sent);
  }

  Chunk* head_ = nullptr;  // owns it, as each chunk owns the next
  Chunk* tail_ = nullptr;
  std::size_t offset_ = 0;  // unsent bytes of the first chunk begin here
  std::size_t bytes_ = 0;
  ChunkPool* pool_;
};

}  // namespace hostcall::wire
