#include "proto/wire/out_queue.h"

#include <cassert>

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
