// Fuzzes FrameReader: whatever the bytes are, feeding them whole or in pieces gives the same frames and the same end,
// with checksums and without; memory is charged before it is held and comes back; no refused frame has data.
//
// Input: one byte for the message limit, one for the piece size, then the stream.
#include <string>
#include <vector>

#include "proto/wire/crc32c.h"
#include "proto/wire/reader.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/counting_budget.h"

namespace hostcall::fuzz {
namespace {

using wire::Frame;
using wire::FrameReader;
using wire::Refusal;

// A frame that no longer points into the reader's memory.
struct Seen {
  wire::FrameHeader header;
  std::string data;
  Refusal refusal;
  bool operator==(const Seen&) const = default;
};

struct Outcome {
  std::vector<Seen> frames;
  bool broken = false;
  bool mid_frame = false;
  bool operator==(const Outcome&) const = default;
};

Outcome read(FrameReader& reader, std::string_view stream, std::size_t piece) {
  Outcome outcome;
  while (!stream.empty()) {
    reader.feed(stream.substr(0, piece));
    while (const auto frame = reader.next()) {
      require(frame->refusal == Refusal::kNone ? frame->data.size() == frame->header.length : frame->data.empty(),
              "a frame has the data of its length, a refused one none");
      outcome.frames.push_back({frame->header, std::string(frame->data), frame->refusal});
    }
    stream.remove_prefix(std::min(piece, stream.size()));
  }
  outcome.broken = reader.violation() != nullptr;
  outcome.mid_frame = reader.mid_frame();
  return outcome;
}

Outcome read_charged(std::string_view stream, std::size_t piece, std::uint32_t limit, bool crc) {
  test::CountingBudget budget;
  Outcome outcome;
  {
    FrameReader reader(limit, &budget);
    if (crc) reader.expect_crc();
    outcome = read(reader, stream, piece);
    require(budget.peak() <= stream.size() * 2, "no more memory than twice of what has come");
  }
  require(budget.charged() == 0, "the budget returns to zero");
  return outcome;
}

// With a small budget frames may be refused, but never lost, and the limit holds.
void check_small_budget(std::string_view stream, std::size_t piece, std::uint32_t limit, const Outcome& expected) {
  constexpr std::size_t kBudget = 100;
  test::CountingBudget budget(kBudget);
  FrameReader reader(limit, &budget);
  const auto outcome = read(reader, stream, piece);
  require(budget.peak() <= kBudget, "the budget holds");
  require(outcome.frames.size() == expected.frames.size() && outcome.broken == expected.broken,
          "a refused frame is reported and passed over");
  for (std::size_t i = 0; i < outcome.frames.size(); ++i)
    require(outcome.frames[i].header == expected.frames[i].header, "in its place");
}

// The same frames, each with its checksum: nothing else changes, and one wrong bit is found.
void check_crc(std::string_view stream, std::size_t piece, std::uint32_t limit, const Outcome& plain) {
  std::string checked;
  for (const auto& frame : plain.frames) {
    const std::string_view bytes = stream.substr(0, wire::kHeaderBytes + frame.header.length);
    checked.append(bytes);
    append_be32(checked, wire::crc32c(0, bytes));
    stream.remove_prefix(bytes.size());
  }
  require(read_charged(checked, piece, limit, true).frames == plain.frames, "checksums change no frame");
  if (checked.empty()) return;
  checked.back() = static_cast<char>(checked.back() ^ 1);
  require(read_charged(checked, piece, limit, true).frames.size() + 1 == plain.frames.size(), "a wrong bit is found");
}

}  // namespace
}  // namespace hostcall::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace hostcall::fuzz;
  Choices choices(bytes, size);
  const std::uint32_t limit = std::uint32_t{choices.byte()} * 8;
  const std::size_t piece = choices.byte() % 64u + 1;
  const auto stream = choices.rest();
  const auto whole = read_charged(stream, SIZE_MAX, limit, false);
  require(read_charged(stream, piece, limit, false) == whole, "fragmentation changes nothing");
  check_small_budget(stream, piece, limit, whole);
  check_crc(stream, piece, limit, whole);
  return 0;
}
