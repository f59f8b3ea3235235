// FrameReader: cuts a byte stream into frames. A frame that lies whole in the input is a view
// into it; only the rest of an incomplete frame is copied, as it arrives, and charged before. The
// claimed length allocates nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proto/base/buffer.h"
#include "proto/wire/budget.h"
#include "proto/wire/frame.h"
#include "proto/wire/violation.h"

namespace hostcall::wire {

// Why the data of a frame is not there.
enum class Refusal : std::uint8_t {
  kNone,
  kTooLarge,  // over the reader's message limit, within ttrpc's
  kNoBudget,  // the budget refused to hold the incomplete frame
};

struct Frame {
  FrameHeader header;
  std::string_view data;  // valid until the next call on the reader; empty if refused
  Refusal refusal = Refusal::kNone;
};

class FrameReader {
 public:
  // Frames with more data are refused and passed over. `budget` may be null, and must
  // outlive the reader.
  FrameReader(std::uint32_t max_data_bytes, Budget* budget) : max_data_(max_data_bytes), budget_(budget) {}
  ~FrameReader();
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;

  // Gives the next input. It must stay valid until next() has returned nothing.
  void feed(std::string_view input) { input_ = input; }
  // The next frame; nothing when the input is used up or the stream is broken.
  std::optional<Frame> next();
  // From the next frame on, each has a CRC32C trailer.
  void expect_crc() { crc_ = true; }

  const std::optional<Violation>& violation() const { return violation_; }
  // Whether a frame has begun and is not complete.
  bool mid_frame() const { return !partial_.empty() || skip_ != 0; }

 private:
  std::size_t trailer() const { return crc_ ? kCrcBytes : 0; }
  bool take_partial(std::size_t want);
  std::optional<Frame> next_in_place();
  std::optional<Frame> resume_partial();
  std::optional<Frame> keep_rest();
  std::optional<Frame> refuse(const FrameHeader& header, std::size_t seen, Refusal refusal);
  std::optional<Frame> complete(const FrameHeader& header, const char* frame);
  bool check_header(const FrameHeader& header, const char* bytes);
  void skip_input();
  void drop_partial();
  void fail(Violation::Kind kind, std::string text);

  std::string_view input_;
  Buffer partial_;  // an incomplete frame, from its header on
  std::uint32_t max_data_;
  std::uint32_t charged_ = 0;  // bytes of partial_ that the budget was charged for
  std::uint32_t skip_ = 0;     // bytes of a refused frame still to be passed over
  bool crc_ = false;
  bool first_ = true;           // no frame seen yet: the peer may speak something else
  bool partial_given_ = false;  // partial_ was handed out whole; drop it at the next call
  Budget* budget_;
  std::optional<Violation> violation_;
};

}  // namespace hostcall::wire
