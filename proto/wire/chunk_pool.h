// Chunk and ChunkPool: the memory of output queues. A pool keeps chunks that were sent for whichever queue writes next,
// so that a call costs no allocation and a queue that is empty holds nothing.
#pragma once

#include <array>
#include <cstddef>

namespace hostcall::wire {

// Bytes of a queue behind a header, in one allocation. Whoever has the pointer owns it.
struct Chunk {
  Chunk* next = nullptr;
  std::size_t size = 0;  // bytes in use
  std::size_t capacity;

  char* data() { return reinterpret_cast<char*>(this + 1); }
  const char* data() const { return reinterpret_cast<const char*>(this + 1); }
  std::size_t room() const { return capacity - size; }
  // What it takes of the heap.
  std::size_t footprint() const { return sizeof(Chunk) + capacity; }

  // An empty one with room for `capacity` bytes, not written yet.
  static Chunk* make(std::size_t capacity);
  static void free(Chunk* chunk);

 private:
  explicit Chunk(std::size_t bytes) : capacity(bytes) {}
};

// Small frames share a chunk of the first size that is not full; a frame above the last one gets a chunk of its own.
inline constexpr std::array<std::size_t, 3> kChunkBytes = {512 - sizeof(Chunk), 4096 - sizeof(Chunk),
                                                           32 * 1024 - sizeof(Chunk)};

class ChunkPool {
 public:
  // Keeps at most `bytes`.
  explicit ChunkPool(std::size_t bytes) : room_(bytes) {}
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  // An empty chunk for `bytes`, which are one of kChunkBytes or more than the last; its capacity is at most twice that.
  Chunk* take(std::size_t bytes) {
    auto& spares = spares_of(bytes);
    Chunk* chunk = spares;
    if (chunk == nullptr || chunk->capacity != bytes) return take_slow(bytes);
    return unlink(spares);
  }
  // Takes a chunk back that is not needed any more, and frees it if that would be too much.
  void put(Chunk* chunk) {
    if (chunk->footprint() > room_) return Chunk::free(chunk);
    room_ -= chunk->footprint();
    auto& spares = spares_of(chunk->capacity);
    chunk->size = 0;
    chunk->next = spares;
    spares = chunk;
  }

 private:
  // By size: a list for each of kChunkBytes, the last one with all that are larger too; these are few.
  Chunk*& spares_of(std::size_t capacity) {
    return spares_[capacity <= kChunkBytes[0] ? 0 : capacity <= kChunkBytes[1] ? 1 : 2];
  }
  Chunk* take_slow(std::size_t bytes);
  Chunk* unlink(Chunk*& link) {
    Chunk* chunk = link;
    link = chunk->next;
    chunk->next = nullptr;
    room_ += chunk->footprint();
    return chunk;
  }

  std::array<Chunk*, kChunkBytes.size()> spares_{};
  std::size_t room_;  // bytes that may be kept besides
};

}  // namespace hostcall::wire
