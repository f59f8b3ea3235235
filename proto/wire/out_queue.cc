#include "proto/wire/out_queue.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace hostcall::wire {
namespace {

// The capacity of a chunk for a frame of `bytes` behind `waiting` bytes. It grows with `waiting`: much output takes few
// pieces, little output takes little memory.
std::size_t capacity_for(std::size_t bytes, std::size_t waiting) {
  for (const auto capacity : kChunkBytes)
    if (waiting + bytes <= capacity) return capacity;
  return std::max(bytes, kChunkBytes.back());
}

}  // namespace

void OutQueue::append_to(std::string& text) const {
  std::size_t skip = offset_;
  for (auto* chunk = head_; chunk != nullptr; chunk = chunk->next) {
    text.append(chunk->data() + skip, chunk->size - skip);
    skip = 0;
  }
}

void OutQueue::add_chunk(std::size_t bytes) {
  const auto capacity = capacity_for(bytes, bytes_);
  auto* chunk = pool_ != nullptr ? pool_->take(capacity) : Chunk::make(capacity);
  (tail_ == nullptr ? head_ : tail_->next) = chunk;
  tail_ = chunk;
  footprint_ += chunk->footprint();
}

// Whoever does not read the end of something large would make us hold all of it.
void OutQueue::shrink_head() {
  auto* old = head_;
  auto* rest = Chunk::make(old->size - offset_);
  std::memcpy(rest->data(), old->data() + offset_, rest->capacity);
  rest->size = rest->capacity;
  rest->next = old->next;
  footprint_ += rest->footprint() - old->footprint();
  if (tail_ == old) tail_ = rest;
  head_ = rest;
  offset_ = 0;
  Chunk::free(old);
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

// Sends all waiting bytes, then the frame. Returns how many bytes of the frame were sent.
std::size_t OutQueue::send_directly(DirectSender& sender, std::span<const iovec> frame) {
  constexpr std::size_t kMaxWaiting = 16;
  std::array<iovec, kMaxWaiting + kMaxFramePieces> pieces;
  assert(frame.size() <= kMaxFramePieces);
  const std::size_t waiting = gather(std::span(pieces).first(kMaxWaiting + 1));
  if (waiting > kMaxWaiting) return 0;
  std::ranges::copy(frame, pieces.begin() + static_cast<std::ptrdiff_t>(waiting));
  const std::size_t sent = sender.send_now({pieces.data(), waiting + frame.size()});
  const std::size_t of_waiting = std::min(sent, bytes_);
  consume(of_waiting);
  return sent - of_waiting;
}

}  // namespace hostcall::wire
