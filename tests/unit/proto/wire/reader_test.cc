// Cutting a byte stream into frames: any fragmentation gives the same frames, claims allocate nothing, refused frames
// are passed over, and a broken stream stays broken.
#include "proto/wire/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "proto/wire/crc32c.h"
#include "tests/support/allocations.h"
#include "tests/support/counting_budget.h"
#include "tests/support/frames.h"

namespace hostcall::wire {
namespace {

using test::CountingBudget;
using test::data;
using test::frame;
using test::header;
using testing::HasSubstr;

std::string with_crc(std::string frame) { return frame + test::be32(crc32c(0, frame)); }

std::string describe(const Frame& frame) {
  const auto type = std::to_string(static_cast<int>(frame.header.type));
  const auto stream = std::to_string(frame.header.stream);
  if (frame.refusal != Refusal::kNone) return "refused " + type + ' ' + stream;
  return type + ' ' + stream + ' ' + std::string(frame.data);
}

// All frames of `bytes`, fed in chunks.
std::vector<std::string> read(FrameReader& reader, std::string_view bytes, std::size_t chunk = SIZE_MAX) {
  std::vector<std::string> frames;
  while (!bytes.empty()) {
    reader.feed(bytes.substr(0, chunk));
    while (const auto frame = reader.next()) frames.push_back(describe(*frame));
    bytes.remove_prefix(std::min(chunk, bytes.size()));
  }
  return frames;
}

std::string mixed_stream() {
  return data(1, "abc") + data(1, "") + data(3, std::string(1000, 'x')) + frame(FrameType::kPing, 0, 0, "12345678") +
         data(0xFFFFFFFF, "last");
}

TEST(Reader, FragmentationChangesNothing) {
  const auto stream = mixed_stream();
  FrameReader whole(2000, nullptr);
  const auto expected = read(whole, stream);
  ASSERT_EQ(expected.size(), 5u);
  for (const std::size_t chunk : {1u, 2u, 3u, 5u, 7u, 11u, 13u, 101u, 997u}) {
    CountingBudget budget;
    FrameReader reader(2000, &budget);
    EXPECT_EQ(read(reader, stream, chunk), expected) << chunk;
    EXPECT_FALSE(reader.mid_frame());
    EXPECT_EQ(budget.charged(), 0u) << chunk;
  }
}

TEST(Reader, AWholeFrameIsAViewIntoTheInput) {
  CountingBudget budget;
  FrameReader reader(2000, &budget);
  const auto stream = mixed_stream();
  reader.feed(stream);
  while (const auto frame = reader.next()) {
    EXPECT_GE(frame->data.data(), stream.data());
    EXPECT_LE(frame->data.data() + frame->data.size(), stream.data() + stream.size());
  }
  EXPECT_EQ(budget.peak(), 0u) << "nothing was kept";
}

TEST(Reader, TellsWhetherAFrameHasBegun) {
  FrameReader reader(4, nullptr);
  const auto small = data(1, "abcd"), large = data(1, "abcde");
  read(reader, small.substr(0, 1));
  EXPECT_TRUE(reader.mid_frame());
  reader.feed(std::string_view(small).substr(1));
  ASSERT_TRUE(reader.next());
  EXPECT_FALSE(reader.mid_frame()) << "complete, though its bytes are still held for the caller";
  read(reader, large.substr(0, 12));
  EXPECT_TRUE(reader.mid_frame()) << "inside a frame that is passed over";
  read(reader, large.substr(12));
  EXPECT_FALSE(reader.mid_frame());
}

TEST(Reader, AClaimAllocatesNothing) {
  CountingBudget budget;
  FrameReader reader(kMaxDataBytes, &budget);
  const auto bytes = header(kMaxDataBytes, 1, FrameType::kData) + "only these";
  test::forget_allocations();
  read(reader, bytes, 7);
  EXPECT_LE(test::largest_allocation(), 64u);
  EXPECT_EQ(budget.peak(), 0u);
}

TEST(Reader, AClaimOfFourGibibytesEndsTheStream) {
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{3}, SIZE_MAX}) {
    FrameReader reader(kMaxDataBytes, nullptr);
    read(reader, data(1, "fine"));
    test::forget_allocations();
    EXPECT_THAT(read(reader, header(0xFFFFFFFF, 1, FrameType::kData) + "data", chunk), testing::IsEmpty());
    ASSERT_TRUE(reader.violation());
    EXPECT_LE(test::largest_allocation(), 256u) << "the message's own text";
    EXPECT_EQ(reader.violation()->kind, Violation::Kind::kBadFrame);
    EXPECT_THAT(reader.violation()->text, HasSubstr("claims 4294967295 bytes"));
    EXPECT_THAT(read(reader, data(1, "more")), testing::IsEmpty()) << "broken for good";
  }
}

TEST(Reader, TheLargestLegalFrameIsRead) {
  FrameReader reader(kMaxDataBytes, nullptr);
  EXPECT_EQ(read(reader, data(1, std::string(kMaxDataBytes, 'x')), 65'536).size(), 1u);
  EXPECT_TRUE(read(reader, header(kMaxDataBytes + 1, 1, FrameType::kData)).empty());
  EXPECT_TRUE(reader.violation());
}

TEST(Reader, MemoryIsChargedAsItGrowsAndNeverPastTheFrame) {
  constexpr std::size_t kBytes = 100'000;
  CountingBudget budget;
  FrameReader reader(kMaxDataBytes, &budget);
  const auto bytes = data(1, std::string(kBytes, 'x'));
  test::forget_allocations();
  read(reader, std::string_view(bytes).substr(0, 30'000), 1'009);
  EXPECT_LE(test::largest_allocation(), 60'000u) << "at most twice of what has come";
  EXPECT_GE(budget.charged() + kUnchargedBytes, 30'000u);
  EXPECT_EQ(read(reader, std::string_view(bytes).substr(30'000), 1'009).size(), 1u);
  EXPECT_LE(budget.peak(), bytes.size());
  EXPECT_EQ(budget.charged(), 0u);
}

TEST(Reader, TooLargeFramesArePassedOver) {
  const auto stream = data(1, "ok") + data(3, "too large") + data(5, "fine") + data(7, "larger still") + data(9, "end");
  const std::vector<std::string> expected = {"3 1 ok", "refused 3 3", "3 5 fine", "refused 3 7", "3 9 end"};
  for (const std::size_t chunk : {1u, 2u, 3u, 5u, 7u, 11u, 13u, 17u, 23u, 1000u}) {
    FrameReader reader(4, nullptr);
    EXPECT_EQ(read(reader, stream, chunk), expected) << chunk;
  }
}

TEST(Reader, RefusesWhatTheBudgetDoesAndGoesOn) {
  const auto stream = data(1, std::string(2'000, 'x')) + data(3, "small") + data(5, std::string(900, 'y'));
  CountingBudget budget(1'000);
  FrameReader reader(kMaxDataBytes, &budget);
  EXPECT_EQ(read(reader, stream, 127),
            (std::vector<std::string>{"refused 3 1", "3 3 small", "3 5 " + std::string(900, 'y')}));
  EXPECT_LE(budget.peak(), 1'000u);
  EXPECT_EQ(budget.charged(), 0u);
}

// A VM that has used up its memory must still be able to cancel, to grant credit and to show that it lives.
TEST(Reader, SmallFramesNeedNoBudget) {
  CountingBudget nothing(0);
  FrameReader reader(kMaxDataBytes, &nothing);
  const auto goaway = frame(FrameType::kGoaway, 0, 0, std::string(kGoawayFixedBytes + kMaxGoawayText, 'g'));
  EXPECT_EQ(read(reader, frame(FrameType::kPing, 0, 0, "12345678") + goaway, 1).size(), 2u);
  EXPECT_EQ(read(reader, data(1, std::string(300, 'x')), 1), std::vector<std::string>{"refused 3 1"});
}

TEST(Reader, GivesChargedMemoryBackWhenDestroyed) {
  CountingBudget budget;
  {
    FrameReader reader(kMaxDataBytes, &budget);
    read(reader, data(1, std::string(5'000, 'x')).substr(0, 4'000));
    EXPECT_GT(budget.charged(), 3'000u);
  }
  EXPECT_EQ(budget.charged(), 0u);
}

TEST(Reader, CrcFramesAreCheckedInEveryFragmentation) {
  const auto stream = with_crc(data(1, "abc")) + with_crc(data(1, "")) + with_crc(data(3, std::string(500, 'x')));
  for (const std::size_t chunk : {1u, 2u, 3u, 5u, 7u, 101u, 1000u}) {
    FrameReader reader(1'000, nullptr);
    reader.expect_crc();
    EXPECT_EQ(read(reader, stream, chunk).size(), 3u) << chunk;
    EXPECT_FALSE(reader.violation());
  }
}

TEST(Reader, CrcBeginsWithTheNextFrame) {
  FrameReader reader(100, nullptr);
  const auto stream = data(1, "plain") + with_crc(data(1, "checked"));
  reader.feed(stream);
  EXPECT_EQ(reader.next()->data, "plain");
  reader.expect_crc();
  EXPECT_EQ(reader.next()->data, "checked");
}

// One flipped bit anywhere is never an answer: at most the stream waits for a length that does not come.
TEST(Reader, CrcFindsEveryFlippedBit) {
  const auto good = with_crc(data(1, "abc"));
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    auto bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    FrameReader reader(8, nullptr);
    reader.expect_crc();
    EXPECT_THAT(read(reader, bytes, 5), testing::IsEmpty()) << bit;
    EXPECT_TRUE(reader.violation() || reader.mid_frame()) << bit;
  }
}

// The header of a frame that is passed over decides which call is refused: it is checked too.
TEST(Reader, CrcCoversRefusedFrames) {
  auto bytes = with_crc(data(3, "too large"));
  for (const std::size_t chunk : {1u, 3u, 13u, 1000u}) {
    FrameReader reader(4, nullptr);
    reader.expect_crc();
    EXPECT_EQ(read(reader, bytes + with_crc(data(5, "fine")), chunk),
              (std::vector<std::string>{"refused 3 3", "3 5 fine"}));
    auto corrupt = bytes;
    corrupt[7] = 5;  // the stream id
    EXPECT_THAT(read(reader, corrupt, chunk), testing::IsEmpty());
    ASSERT_TRUE(reader.violation());
    EXPECT_EQ(reader.violation()->kind, Violation::Kind::kBadCrc);
  }
}

TEST(Reader, NamesOtherProtocols) {
  const std::pair<std::string_view, const char*> others[] = {
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"},
      {"GET / HTTP/1.1\r\n", "HTTP"},
      {"SSH-2.0-OpenSSH", "SSH"},
      {"CONNECT 18499\n", "CONNECT line"},
      {"\x16\x03\x01", "TLS"},
      {"{\"method\":", "JSON"},
      {"hello there", "unknown protocol"},
  };
  for (const auto& [bytes, name] : others) {
    for (const std::size_t chunk : {std::size_t{1}, SIZE_MAX}) {
      FrameReader reader(100, nullptr);
      EXPECT_THAT(read(reader, bytes, chunk), testing::IsEmpty());
      ASSERT_TRUE(reader.violation());
      EXPECT_EQ(reader.violation()->kind, Violation::Kind::kNotTtrpc);
      EXPECT_THAT(reader.violation()->text, HasSubstr(name));
    }
  }
}

TEST(Reader, ABrokenStreamHoldsNothing) {
  CountingBudget budget;
  FrameReader reader(kMaxDataBytes, &budget);
  reader.expect_crc();
  read(reader, data(1, std::string(5'000, 'x')) + "bad!", 997);
  ASSERT_TRUE(reader.violation());
  EXPECT_EQ(budget.charged(), 0u);
  EXPECT_FALSE(reader.mid_frame());
}

TEST(Reader, AfterAFrameANonZeroByteIsABadLength) {
  FrameReader reader(100, nullptr);
  read(reader, data(1, "x"));
  read(reader, "PRI * HTTP/2.0");
  EXPECT_EQ(reader.violation()->kind, Violation::Kind::kBadFrame);
}

}  // namespace
}  // namespace hostcall::wire
