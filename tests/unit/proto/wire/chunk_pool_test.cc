// What the pool keeps, for whom, and how much.
#include "proto/wire/chunk_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/support/allocations.h"

namespace hostcall::wire {
namespace {

constexpr std::size_t kSmall = kChunkBytes[0], kMedium = kChunkBytes[1], kLarge = kChunkBytes[2];

// Takes a chunk, writes all of it, and puts it back.
Chunk* use(ChunkPool& pool, std::size_t bytes) {
  auto* chunk = pool.take(bytes);
  chunk->size = chunk->capacity;
  std::memset(chunk->data(), 'x', chunk->size);
  pool.put(chunk);
  return chunk;
}

// Whether the next chunk of this size comes from the heap.
bool allocates(ChunkPool& pool, std::size_t bytes) {
  test::forget_allocations();
  use(pool, bytes);
  return test::largest_allocation() != 0;
}

TEST(ChunkPool, GivesAnEmptyChunkThatIsLargeEnoughAndNotTooLarge) {
  ChunkPool pool(100'000);
  for (int round = 0; round < 2; ++round) {
    for (const auto bytes : {kSmall, kMedium, kLarge, std::size_t{50'000}}) {
      auto* chunk = pool.take(bytes);
      EXPECT_GE(chunk->capacity, bytes);
      EXPECT_LE(chunk->capacity, 2 * bytes);
      EXPECT_EQ(chunk->room(), chunk->capacity);
      EXPECT_EQ(chunk->next, nullptr);
      chunk->size = 1;
      pool.put(chunk);
    }
  }
}

TEST(ChunkPool, AChunkIsARoundNumberOfBytesOnTheHeap) {
  ChunkPool pool(0);
  test::forget_allocations();
  use(pool, kSmall);
  EXPECT_EQ(test::largest_allocation(), 512u);
}

TEST(ChunkPool, KeepsWhatIsPutBack) {
  ChunkPool pool(100'000);
  for (const auto bytes : {kSmall, kMedium, kLarge, std::size_t{50'000}}) {
    EXPECT_TRUE(allocates(pool, bytes));
    EXPECT_FALSE(allocates(pool, bytes));
  }
}

TEST(ChunkPool, KeepsNoMoreThanItMay) {
  ChunkPool pool(2 * 4096);
  std::vector<Chunk*> chunks;
  for (int i = 0; i < 3; ++i) chunks.push_back(pool.take(kMedium));
  for (auto* chunk : chunks) pool.put(chunk);
  chunks.clear();
  test::forget_allocations();
  for (int i = 0; i < 2; ++i) chunks.push_back(pool.take(kMedium));
  EXPECT_EQ(test::largest_allocation(), 0u);
  chunks.push_back(pool.take(kMedium));
  EXPECT_EQ(test::largest_allocation(), 4096u) << "the third was over the bound";
  for (auto* chunk : chunks) pool.put(chunk);
}

TEST(ChunkPool, WhatItGivesMakesRoom) {
  ChunkPool pool(4096);
  for (int round = 0; round < 10; ++round) {
    auto* chunk = pool.take(kMedium);
    pool.put(chunk);
    EXPECT_EQ(pool.take(kMedium), chunk);
    pool.put(chunk);
  }
}

TEST(ChunkPool, DoesNotGiveALargeChunkForASmallOne) {
  ChunkPool pool(1'000'000);
  use(pool, kMedium);
  EXPECT_TRUE(allocates(pool, kSmall));
  use(pool, kLarge);
  use(pool, 500'000);
  EXPECT_TRUE(allocates(pool, 200'000)) << "500,000 would be more than twice as much";
  EXPECT_FALSE(allocates(pool, 300'000)) << "it may be a little larger";
  EXPECT_TRUE(allocates(pool, 2 * kLarge + 100));
}

TEST(ChunkPool, SizesThatAreNotUsedAnyMoreMakeRoom) {
  ChunkPool pool(100'000);
  use(pool, 45'000);
  use(pool, 40'000);
  EXPECT_TRUE(allocates(pool, 90'000));
  EXPECT_FALSE(allocates(pool, 90'000));
  EXPECT_TRUE(allocates(pool, 40'000)) << "it had to go";
  EXPECT_TRUE(allocates(pool, kMedium)) << "and then the larger one";
  EXPECT_FALSE(allocates(pool, kMedium));
  std::vector<Chunk*> chunks;
  for (int i = 0; i < 300; ++i) chunks.push_back(pool.take(kSmall));
  for (auto* chunk : chunks) pool.put(chunk);
  EXPECT_TRUE(allocates(pool, 90'000));
  EXPECT_FALSE(allocates(pool, 90'000)) << "small ones make room for large ones too";
}

TEST(ChunkPool, WithoutRoomItKeepsNothing) {
  ChunkPool pool(0);
  for (const auto bytes : {kSmall, kMedium, kLarge, std::size_t{50'000}}) {
    EXPECT_TRUE(allocates(pool, bytes));
    EXPECT_TRUE(allocates(pool, bytes));
  }
}

}  // namespace
}  // namespace hostcall::wire
