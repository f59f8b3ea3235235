#include "proto/wire/chunk_pool.h"

#include <new>

namespace hostcall::wire {

Chunk* Chunk::make(std::size_t capacity) { return new (::operator new(sizeof(Chunk) + capacity)) Chunk(capacity); }

void Chunk::free(Chunk* chunk) { ::operator delete(chunk); }

ChunkPool::~ChunkPool() {
  for (auto*& spares : spares_)
    while (spares != nullptr) Chunk::free(unlink(spares));
}

// Slow path: the first spare chunk is of another size, or there is none.
Chunk* ChunkPool::take_slow(std::size_t bytes) {
  for (auto** link = &spares_of(bytes); *link != nullptr; link = &(*link)->next)
    if ((*link)->capacity >= bytes && (*link)->capacity <= 2 * bytes) return unlink(*link);
  auto* chunk = Chunk::make(bytes);
  // Frees spares of sizes that nobody asks for, so that put() can keep this chunk.
  for (auto*& spares : spares_)
    while (spares != nullptr && room_ < chunk->footprint()) Chunk::free(unlink(spares));
  return chunk;
}

}  // namespace hostcall::wire
