// Chunk and ChunkPool: memory for output queues. The pool keeps chunks that were sent for the next queue that writes,
// so that a call allocates nothing and an empty queue holds no memory.
#pragma once

#include <array>
#include <cstddef>

namespace hostcall::wire {

// A header with the bytes of a queue behind it, in one allocation. Whoever has the pointer owns it.
struct Chunk {
  Chunk* next = nullptr;
  std::size_t size = 0;  // bytes in use
  std::size_t capacity;

  char* data() { return reinterpret_cast<char*>(this + 1); }
  const char* data() const { return reinterpret_cast<const char*>(this + 1); }
  std::size_t room() const { return capacity - size; }
  // Bytes of heap that the chunk takes.
  std::size_t footprint() const { return sizeof(Chunk) + capacity; }

  // An empty chunk with room for `capacity` bytes, uninitialised.
  static Chunk* make(std::size_t capacity);
  static void free(Chunk* chunk);

 private:
  explicit Chunk(std::size_t bytes) : capacity(bytes) {}
};

// Small frames share a chunk of one of these sizes; a frame larger than the last gets a chunk of its own.
inline constexpr std::array<std::size_t, 3> kChunkBytes = {512 - sizeof(Chunk), 4096 - sizeof(Chunk),
                                                           32 * 1024 - sizeof(Chunk)};

class ChunkPool {
 public:
  // Keeps at most `bytes`.
  explicit ChunkPool(std::size_t bytes) : room_(bytes) {}
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  // Returns an empty chunk for `bytes`: one of kChunkBytes or more than the last. Its capacity is at most twice that.
  Chunk* take(std::size_t bytes) {
    auto& spares = spares_of(bytes);
    Chunk* chunk = spares;
    if (chunk == nullptr || chunk->capacity != bytes) return take_slow(bytes);
    return unlink(spares);
  }
  // Takes back a chunk; frees it if the pool is full.
  void put(Chunk* chunk) {
    if (chunk->footprint() > room_) return Chunk::free(chunk);
    room_ -= chunk->footprint();
    auto& spares = spares_of(chunk->capacity);
    chunk->size = 0;
    chunk->next = spares;
    spares = chunk;
  }

 private:
  // One list per size of kChunkBytes; the last also has the few larger ones.
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
  std::size_t room_;  // bytes that the pool may keep on top
};

}  // namespace hostcall::wire
