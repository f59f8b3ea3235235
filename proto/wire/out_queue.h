// OutQueue: output bytes in a list of chunks, so that one sendmsg takes many frames and waiting bytes hardly move. An
// empty queue holds no memory.
#pragma once

#include <sys/uio.h>

#include <cassert>
#include <cstddef>
#include <span>
#include <string>

#include "proto/wire/chunk_pool.h"

namespace hostcall::wire {

// An OutQueue's owner implements this to send large data without a copy to the queue.
class DirectSender {
 public:
  // Sends as many bytes as the socket takes now and returns their number. Error: 0, and the owner meets it again when
  // it sends the queue. May change the list, not the bytes.
  virtual std::size_t send_now(std::span<iovec> pieces) = 0;

 protected:
  ~DirectSender() = default;
};

class OutQueue {
 public:
  // The most pieces of a frame that is sent directly.
  static constexpr std::size_t kMaxFramePieces = 12;

  // `pool` takes back sent chunks and must outlive the queue. Null: they are freed.
  explicit OutQueue(ChunkPool* pool = nullptr) : pool_(pool) {}
  ~OutQueue() { consume(bytes_); }
  OutQueue(const OutQueue&) = delete;
  OutQueue& operator=(const OutQueue&) = delete;

  std::size_t bytes() const { return bytes_; }
  // Bytes of heap that it takes: a chunk stays until its last byte is removed.
  std::size_t footprint() const { return footprint_; }
  bool empty() const { return bytes_ == 0; }

  // Appends room for `bytes` (at least 1) in one piece, which the caller writes at once.
  char* extend(std::size_t bytes) {
    if (tail_ == nullptr || tail_->room() < bytes) add_chunk(bytes);
    char* at = tail_->data() + tail_->size;
    tail_->size += bytes;
    bytes_ += bytes;
    return at;
  }
  // Appends the pieces, at most kMaxFramePieces. Sends the waiting bytes and then the pieces directly, and copies only
  // what the sender does not take.
  void send(DirectSender& sender, std::span<const iovec> frame);
  // Fills `pieces` with the first bytes and returns how many pieces it used. Valid until the next change.
  std::size_t gather(std::span<iovec> pieces) const {
    std::size_t count = 0;
    std::size_t skip = offset_;
    for (auto* chunk = head_; chunk != nullptr && count < pieces.size(); chunk = chunk->next) {
      pieces[count++] = {chunk->data() + skip, chunk->size - skip};
      skip = 0;
    }
    return count;
  }
  // Appends a copy of all bytes.
  void append_to(std::string& text) const;
  // Removes the first `bytes`, which have been sent.
  void consume(std::size_t bytes) {
    assert(bytes <= bytes_);
    bytes_ -= bytes;
    offset_ += bytes;
    while (head_ != nullptr && offset_ >= head_->size) {
      offset_ -= head_->size;
      drop_head();
    }
    if (offset_ > kMostKept && offset_ / 2 >= head_->size - offset_) [[unlikely]]
      shrink_head();
  }

 private:
  std::size_t send_directly(DirectSender& sender, std::span<const iovec> frame);
  // Sent bytes that the first chunk may keep beside an unsent rest of at least half as many: otherwise the rest moves.
  static constexpr std::size_t kMostKept = 64 * 1024;

  void shrink_head();
  void add_chunk(std::size_t bytes);
  void drop_head() {
    auto* sent = head_;
    head_ = sent->next;
    if (head_ == nullptr) tail_ = nullptr;
    footprint_ -= sent->footprint();
    pool_ != nullptr ? pool_->put(sent) : Chunk::free(sent);
  }

  Chunk* head_ = nullptr;  // owned, as each chunk owns the next
  Chunk* tail_ = nullptr;
  std::size_t offset_ = 0;  // where the unsent bytes of the first chunk begin
  std::size_t bytes_ = 0;
  std::size_t footprint_ = 0;
  ChunkPool* pool_;
};

}  // namespace hostcall::wire
