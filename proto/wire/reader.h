// FrameReader: cuts a byte stream into frames. A frame that is complete in the input is a view into it. Only an
// incomplete frame is copied, as it arrives, after its memory was charged. A claimed length allocates nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "proto/base/buffer.h"
#include "proto/wire/budget.h"
#include "proto/wire/frame.h"
#include "proto/wire/violation.h"

namespace hostcall::wire {

// Uncharged memory for an incomplete frame: the largest frame of the extension, so that a VM that has used up its
// budget still gets its Ping, Window and Cancel frames through.
inline constexpr std::size_t kUnchargedBytes = kHeaderBytes + kGoawayFixedBytes + kMaxGoawayText + kCrcBytes;

// Why a frame has no data.
enum class Refusal : std::uint8_t {
  kNone,
  kTooLarge,  // above the reader's message limit, but within ttrpc's
  kNoBudget,  // the budget refused to hold the incomplete frame
};

struct Frame {
  FrameHeader header;
  std::string_view data;  // valid until the next call on the reader; empty if refused
  Refusal refusal = Refusal::kNone;
};

// A frame that is being skipped.
struct SkippedFrame {
  FrameHeader header;
  Refusal refusal = Refusal::kNone;
  std::size_t bytes = 0;      // yet to come
  std::uint32_t crc = 0;      // checksum of the bytes so far
  std::uint32_t trailer = 0;  // the trailer's bytes so far
};

class FrameReader {
 public:
  // Skips frames with more data and reports them as refused at their end, when their checksum is known. `budget` may be
  // null and must outlive the reader.
  FrameReader(std::uint32_t max_data_bytes, Budget* budget) : max_data_(max_data_bytes), budget_(budget) {}
  ~FrameReader();
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;

  // Sets the next input. It must stay valid until next() returns nothing.
  void feed(std::string_view input) { input_ = input; }
  // The next frame. Nothing: the input is used up, or the stream is broken.
  std::optional<Frame> next() {
    if (!partial_.empty() || skip_ || violation_) return next_slow();
    if (input_.empty()) return std::nullopt;
    return next_in_place();
  }
  // Input that next() has not used.
  std::string_view rest() const { return input_; }
  // From the next frame on, every frame has a CRC32C trailer.
  void expect_crc() { crc_ = true; }

  std::uint32_t max_data_bytes() const { return max_data_; }
  // Null while there is none.
  const Violation* violation() const { return violation_.get(); }
  // The frame whose claimed length is the violation. Null: it is another one.
  const FrameHeader* oversized() const { return oversized_ ? &*oversized_ : nullptr; }
  // Whether the input ended inside a frame.
  bool mid_frame() const { return (!partial_.empty() && !partial_given_) || skip_; }

  // For another reader that goes on behind this one's input: the bytes of an incomplete frame, which it is fed first,
  // and the frame that is being skipped, or null.
  std::string_view incomplete() const { return partial_given_ ? std::string_view() : partial_.view(); }
  const SkippedFrame* skipping() const { return skip_.get(); }
  // This reader, which is new, goes on behind earlier frames.
  void resume(const std::optional<SkippedFrame>& skipping);

 private:
  std::size_t trailer() const { return crc_ ? kCrcBytes : 0; }
  void take_header();
  [[nodiscard]] bool take_partial(std::size_t want);
  [[nodiscard]] bool make_room(std::size_t bytes, std::size_t most);
  std::optional<Frame> next_slow();
  std::optional<Frame> next_in_place();
  std::optional<Frame> resume_partial();
  std::optional<Frame> keep_rest();
  std::optional<Frame> refuse(const FrameHeader& header, std::string_view seen, Refusal refusal);
  std::optional<Frame> resume_refused();
  void pass_over(std::string_view bytes);
  std::optional<Frame> complete(const FrameHeader& header, const char* frame);
  [[nodiscard]] bool check_crc(std::string_view frame);
  bool check_length(const FrameHeader& header) { return header.length <= kMaxDataBytes || refuse_length(header); }
  bool refuse_length(const FrameHeader& header);
  void refuse_protocol();
  void drop_partial();
  void fail(Violation::Kind kind, std::string text);

  std::string_view input_;
  Buffer partial_;           // an incomplete frame, from its header on
  std::size_t charged_ = 0;  // charged to the budget for partial_
  std::uint32_t max_data_;
  bool crc_ = false;
  bool first_ = true;           // no frame seen yet: the peer may speak another protocol
  bool partial_given_ = false;  // partial_ was returned as a frame; the next call drops it
  Budget* budget_;
  // Behind pointers, because both are rare and there are many idle readers.
  std::unique_ptr<SkippedFrame> skip_;
  std::unique_ptr<Violation> violation_;
  std::optional<FrameHeader> oversized_;
};

}  // namespace hostcall::wire
