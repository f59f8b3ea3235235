#include "proto/wire/out_queue.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace hostcall::wire {
namespace {

// Small frames share a chunk up to this size; a larger frame gets one of its own.
constexpr std::size_t kChunkBytes = 32 * 1024;
constexpr std::size_t kFirstChunkBytes = 512;

}  // namespace

char* OutQueue::extend(std::size_t bytes) {
  const bool fits = !chunks_.empty() && chunks_.back().size() + bytes <= kChunkBytes;
  if (!fits) add_chunk(bytes);
  bytes_ += bytes;
  return chunks_.back().extend(bytes);
}

void OutQueue::add_chunk(std::size_t bytes) {
  const bool first = chunks_.empty();
  chunks_.emplace_back();
  if (spares_ && !spares_->buffers.empty()) {
    chunks_.back() = std::move(spares_->buffers.back());
    spares_->buffers.pop_back();
    spares_->room += chunks_.back().capacity();
  }
  chunks_.back().reserve(std::max(bytes, first ? kFirstChunkBytes : kChunkBytes));
}

// A chunk was sent.
void OutQueue::retire(Buffer& chunk) {
  if (!spares_ || chunk.capacity() > spares_->room) return chunk.reset();
  spares_->room -= chunk.capacity();
  chunk.clear();
  spares_->buffers.push_back(std::move(chunk));
}

void OutQueue::keep_memory(std::size_t bytes) {
  spares_ = std::make_unique<Spares>();
  spares_->room = bytes;
}

void OutQueue::send(DirectSender& sender, std::span<const iovec> frame) {
  std::size_t sent = send_directly(sender, frame);
  std::size_t left = 0;
  for (const auto& piece : frame) left += piece.iov_len;
  left -= sent;
  if (left == 0) return;
  char* out = extend(left);
  for (const auto& piece : frame) {
    const std::size_t skip = std::min(sent, piece.iov_len);
    if (skip == piece.iov_len) {
      sent -= skip;
      continue;
    }
    std::memcpy(out, static_cast<const char*>(piece.iov_base) + skip, piece.iov_len - skip);
    out += piece.iov_len - skip;
    sent -= skip;
  }
}

// Returns how many bytes of the frame were sent. All that waits goes before it.
std::size_t OutQueue::send_directly(DirectSender& sender, std::span<const iovec> frame) {
  constexpr std::size_t kMaxWaiting = 16;
  std::array<iovec, kMaxWaiting + kMaxFramePieces> pieces;
  assert(frame.size() <= kMaxFramePieces);
  if (chunks_.size() - head_ > kMaxWaiting) return 0;
  const std::size_t waiting = gather(pieces);
  std::ranges::copy(frame, pieces.begin() + static_cast<std::ptrdiff_t>(waiting));
  const std::size_t sent = sender.send_now({pieces.data(), waiting + frame.size()});
  const std::size_t of_waiting = std::min(sent, bytes_);
  consume(of_waiting);
  return sent - of_waiting;
}

std::size_t OutQueue::gather(std::span<iovec> pieces) const {
  std::size_t count = 0;
  std::size_t skip = offset_;
  for (std::size_t i = head_; i < chunks_.size() && count < pieces.size(); ++i) {
    // sendmsg() only reads, although iovec has no const.
    pieces[count++] = {const_cast<char*>(chunks_[i].data()) + skip, chunks_[i].size() - skip};
    skip = 0;
  }
  return count;
}

void OutQueue::consume(std::size_t bytes) {
  assert(bytes <= bytes_);
  bytes_ -= bytes;
  while (bytes != 0) {
    const std::size_t in_chunk = chunks_[head_].size() - offset_;
    if (bytes < in_chunk) {
      offset_ += bytes;
      return;
    }
    bytes -= in_chunk;
    retire(chunks_[head_++]);
    offset_ = 0;
  }
  if (bytes_ == 0) {
    // Frees the list too: thousands of idle connections hold nothing.
    if (!spares_) std::vector<Buffer>().swap(chunks_);
    chunks_.clear();
    head_ = 0;
  } else if (head_ > chunks_.size() / 2) {
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

}  // namespace hostcall::wire
