// Output in chunks: order, sharing, and that nothing is held when nothing waits.
#include "proto/wire/out_queue.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

#include "tests/support/allocations.h"
#include "tests/support/seed.h"

namespace hostcall::wire {
namespace {

void append(OutQueue& queue, std::string_view bytes) {
  std::memcpy(queue.extend(bytes.size()), bytes.data(), bytes.size());
}

std::string front(const OutQueue& queue, std::size_t pieces) {
  std::vector<iovec> room(pieces);
  room.resize(queue.gather(room));
  std::string bytes;
  for (const auto& piece : room) bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  return bytes;
}

TEST(OutQueue, SharesAChunkBetweenSmallFrames) {
  OutQueue queue;
  append(queue, "abc");
  append(queue, "def");
  iovec pieces[4];
  EXPECT_EQ(queue.gather(pieces), 1u);
  EXPECT_EQ(pieces[0].iov_len, 6u);
  EXPECT_EQ(queue.bytes(), 6u);
}

TEST(OutQueue, GivesALargeFrameAChunkOfItsOwn) {
  OutQueue queue;
  append(queue, "small");
  append(queue, std::string(1 << 20, 'L'));
  append(queue, "after");
  iovec pieces[4];
  ASSERT_EQ(queue.gather(pieces), 3u);
  EXPECT_EQ(pieces[1].iov_len, std::size_t{1} << 20) << "in one piece, not moved";
}

TEST(OutQueue, KnowsWhatItTakesOfTheHeap) {
  constexpr std::size_t kLarge = 1 << 20;
  OutQueue queue;
  EXPECT_EQ(queue.footprint(), 0u);
  append(queue, std::string(kLarge - 1, 'L') + "E");
  queue.consume(kLarge / 2);
  EXPECT_GE(queue.footprint(), kLarge) << "the chunk stays as long as much of it is unsent";
  queue.consume(kLarge / 2 - 1);
  EXPECT_EQ(queue.bytes(), 1u);
  EXPECT_EQ(front(queue, 1), "E");
  EXPECT_LT(queue.footprint(), 100u) << "a rest does not keep it";
  append(queue, "after");
  queue.consume(1);
  EXPECT_GE(queue.footprint(), queue.bytes());
  EXPECT_LT(queue.footprint(), kLarge);
  queue.consume(5);
  EXPECT_EQ(queue.footprint(), 0u);
}

TEST(OutQueue, ContinuesInsideAChunk) {
  OutQueue queue;
  append(queue, "abcdef");
  queue.consume(2);
  EXPECT_EQ(front(queue, 1), "cdef");
  append(queue, "ghi");
  EXPECT_EQ(front(queue, 1), "cdefghi");
  queue.consume(7);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(front(queue, 1), "");
  append(queue, "again");
  EXPECT_EQ(front(queue, 1), "again");
}

TEST(OutQueue, HoldsNothingWhenAllIsSent) {
  OutQueue queue;
  append(queue, std::string(40'000, 'a'));
  queue.consume(40'000);
  test::forget_allocations();
  append(queue, std::string_view("b"));
  EXPECT_GT(test::largest_allocation(), 0u) << "the memory of before is gone";
}

// The largest allocation when so much is written in small frames.
std::size_t largest_chunk_for(std::size_t bytes) {
  OutQueue queue;
  test::forget_allocations();
  for (std::size_t written = 0; written < bytes; written += 10) append(queue, "ten bytes.");
  return test::largest_allocation();
}

TEST(OutQueue, TakesLargerChunksAsMoreWaits) {
  EXPECT_EQ(largest_chunk_for(10), 512u);
  EXPECT_EQ(largest_chunk_for(480), 512u);
  EXPECT_EQ(largest_chunk_for(500), 4096u);
  EXPECT_EQ(largest_chunk_for(4'000), 4096u);
  EXPECT_EQ(largest_chunk_for(5'000), 32'768u);
  EXPECT_EQ(largest_chunk_for(500'000), 32'768u);
}

TEST(OutQueue, BeginsSmallAgainWhenLittleWaits) {
  OutQueue queue;
  for (int i = 0; i < 100; ++i) append(queue, std::string(400, 'a'));
  queue.consume(queue.bytes());
  test::forget_allocations();
  append(queue, "b");
  EXPECT_EQ(test::largest_allocation(), 512u);
}

TEST(OutQueue, GivesWhatWasSentToThePoolAndTakesItFromThere) {
  ChunkPool pool(300'000);
  const std::string large(90'000, 'a');
  {
    OutQueue queue(&pool);
    for (int i = 0; i < 3; ++i) append(queue, large);
    queue.consume(2 * large.size() + 1);
  }
  OutQueue other(&pool);
  test::forget_allocations();
  for (int i = 0; i < 3; ++i) append(other, large);
  EXPECT_EQ(test::largest_allocation(), 0u) << "what was not sent came back with its queue";
  EXPECT_EQ(front(other, 4), large + large + large);
}

TEST(OutQueue, GathersOnlyAsManyPiecesAsThereIsRoomFor) {
  OutQueue queue;
  for (int i = 0; i < 5; ++i) append(queue, std::string(40'000, static_cast<char>('a' + i)));
  EXPECT_EQ(front(queue, 2), std::string(40'000, 'a') + std::string(40'000, 'b'));
}

// Takes as many bytes as it is told to.
struct Sender final : DirectSender {
  std::size_t send_now(std::span<iovec> pieces) override {
    ++calls;
    std::string offered;
    for (const auto& piece : pieces) offered.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    const auto taken = offered.substr(0, room);
    room -= taken.size();
    sent += taken;
    return taken.size();
  }
  std::size_t room = 0;
  int calls = 0;
  std::string sent;
};

TEST(OutQueue, DoesNotCopyWhatIsSentDirectly) {
  struct TakesAll final : DirectSender {
    std::size_t send_now(std::span<iovec> pieces) override { return pieces[0].iov_len + pieces[1].iov_len; }
  } sender;
  OutQueue queue;
  std::string head = "head", body(100'000, 'b');
  const iovec frame[] = {{head.data(), head.size()}, {body.data(), body.size()}};
  test::forget_allocations();
  queue.send(sender, frame);
  EXPECT_EQ(test::largest_allocation(), 0u);
  EXPECT_TRUE(queue.empty());
}

TEST(OutQueue, KeepsWhatIsNotSentDirectlyWhereverThatEnds) {
  std::string waiting = "waiting", head = "head", body = "body";
  const iovec frame[] = {{head.data(), head.size()}, {nullptr, 0}, {body.data(), body.size()}};
  const auto all = waiting + head + body;
  for (std::size_t room = 0; room <= all.size(); ++room) {
    OutQueue queue;
    Sender sender;
    sender.room = room;
    append(queue, waiting);
    queue.send(sender, frame);
    EXPECT_EQ(sender.sent, all.substr(0, room));
    EXPECT_EQ(queue.bytes(), all.size() - room);
    EXPECT_EQ(front(queue, 4), all.substr(room)) << room;
  }
}

TEST(OutQueue, SendsNothingDirectlyWhenTooMuchWaits) {
  OutQueue queue;
  Sender sender;
  sender.room = 10'000'000;
  const std::string large(40'000, 'l');
  std::string bytes = "frame";
  const iovec frame[] = {{bytes.data(), bytes.size()}};
  for (int i = 0; i < 17; ++i) append(queue, large);
  queue.send(sender, frame);
  EXPECT_EQ(sender.calls, 0);
  EXPECT_EQ(queue.bytes(), 17 * large.size() + bytes.size());
  queue.consume(2 * large.size());
  queue.send(sender, frame);
  EXPECT_EQ(sender.calls, 1);
  EXPECT_TRUE(queue.empty());
  EXPECT_TRUE(sender.sent.ends_with("frameframe"));
}

// The same bytes as a plain string, whatever the sizes of writing and sending are.
TEST(OutQueue, KeepsTheOrderUnderRandomUse) {
  std::minstd_rand random(test::seed(7));
  OutQueue queue;
  std::string expected, sent;
  for (int round = 0; round < 2000; ++round) {
    const std::string bytes(1 + random() % (round % 50 == 0 ? 90'000 : 900), static_cast<char>('a' + round % 26));
    append(queue, bytes);
    expected += bytes;
    const auto ready = front(queue, 1 + random() % 3);
    const auto take = random() % (ready.size() + 1);
    sent += ready.substr(0, take);
    queue.consume(take);
  }
  while (!queue.empty()) {
    const auto ready = front(queue, 8);
    sent += ready;
    queue.consume(ready.size());
  }
  EXPECT_EQ(sent, expected);
}

}  // namespace
}  // namespace hostcall::wire
