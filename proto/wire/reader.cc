#include "proto/wire/reader.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "proto/wire/crc32c.h"

namespace hostcall::wire {
namespace {

constexpr char kCrcMismatch[] = "CRC32C mismatch: bytes were lost or changed on the way";

// Guesses the protocol from a first byte that can't start a ttrpc frame.
std::string_view guess_protocol(char first) {
  switch (first) {
    case 'P': return "HTTP (a gRPC client sends an HTTP/2 preface; use a ttrpc client)";
    case 'G':
    case 'H': return "HTTP";
    case 'S': return "SSH";
    case 'C': return "a VMM's CONNECT line (for host-to-guest sockets only)";
    case 0x16: return "TLS";
    case '{': return "JSON";
    default: return "an unknown protocol";
  }
}

}  // namespace

FrameReader::~FrameReader() { drop_partial(); }

inline std::optional<Frame> FrameReader::complete(const FrameHeader& header, const char* frame) {
  first_ = false;
  if (crc_ && !check_crc({frame, kHeaderBytes + header.length})) return std::nullopt;
  return Frame{.header = header, .data = {frame + kHeaderBytes, header.length}};
}

// Slow path: a frame began before this input, is being skipped, or the stream is broken.
std::optional<Frame> FrameReader::next_slow() {
  if (partial_given_) drop_partial();
  if (violation_ || input_.empty()) return std::nullopt;
  if (skip_) return resume_refused();
  return partial_.empty() ? next_in_place() : resume_partial();
}

std::optional<Frame> FrameReader::next_in_place() {
  if (first_ && input_[0] != 0) {
    refuse_protocol();
    return std::nullopt;
  }
  if (input_.size() < kHeaderBytes) return keep_rest();
  const auto header = decode_header(input_.data());
  if (!check_length(header)) return std::nullopt;
  if (header.length > max_data_) return refuse(header, {}, Refusal::kTooLarge);
  const std::size_t whole = kHeaderBytes + header.length + trailer();
  if (input_.size() < whole) return keep_rest();
  const char* frame = input_.data();
  input_.remove_prefix(whole);
  return complete(header, frame);
}

std::optional<Frame> FrameReader::resume_partial() {
  if (partial_.size() < kHeaderBytes) {
    take_header();
    if (partial_.size() < kHeaderBytes) return std::nullopt;
    const auto header = decode_header(partial_.data());
    if (!check_length(header)) return std::nullopt;
    if (header.length > max_data_) return refuse(header, partial_.view(), Refusal::kTooLarge);
  }
  const auto header = decode_header(partial_.data());
  const std::size_t whole = kHeaderBytes + header.length + trailer();
  if (!take_partial(whole)) return refuse(header, partial_.view(), Refusal::kNoBudget);
  if (partial_.size() < whole) return std::nullopt;
  partial_given_ = true;
  return complete(header, partial_.data());
}

// Takes as much of a frame's header as there is. Never refused: it is below kUnchargedBytes.
void FrameReader::take_header() {
  [[maybe_unused]] const bool taken = take_partial(kHeaderBytes);
  assert(taken);
}

// Moves input to partial_ until it holds `want` bytes. False: the budget refused, and nothing was moved.
bool FrameReader::take_partial(std::size_t want) {
  const std::size_t bytes = std::min(want - partial_.size(), input_.size());
  if (!make_room(partial_.size() + bytes, want)) return false;
  partial_.append(input_.substr(0, bytes));
  input_.remove_prefix(bytes);
  return true;
}

// Grows partial_ to hold `bytes`, by doubling, up to `most`. False: the budget refused.
bool FrameReader::make_room(std::size_t bytes, std::size_t most) {
  if (bytes <= partial_.capacity()) return true;
  const std::size_t capacity = std::min(most, std::max(bytes, 2 * partial_.capacity()));
  const std::size_t charge = capacity > kUnchargedBytes ? capacity - kUnchargedBytes - charged_ : 0;
  if (budget_ != nullptr && charge != 0) {
    if (!budget_->try_charge(charge)) return false;
    charged_ += charge;
  }
  partial_.reserve(capacity);
  return true;
}

// The input ends inside a frame: keeps its first part.
std::optional<Frame> FrameReader::keep_rest() {
  if (input_.size() < kHeaderBytes) {
    take_header();
    return std::nullopt;
  }
  const auto header = decode_header(input_.data());
  if (!take_partial(kHeaderBytes + header.length + trailer())) return refuse(header, {}, Refusal::kNoBudget);
  return std::nullopt;
}

// Begins to skip a frame, of which `seen` has been taken from the input.
std::optional<Frame> FrameReader::refuse(const FrameHeader& header, std::string_view seen, Refusal refusal) {
  first_ = false;
  skip_ = std::make_unique<SkippedFrame>(
      SkippedFrame{.header = header, .refusal = refusal, .bytes = kHeaderBytes + header.length + trailer()});
  pass_over(seen);
  drop_partial();
  return resume_refused();
}

// Skips the input's part of a refused frame, and reports the frame at its end.
std::optional<Frame> FrameReader::resume_refused() {
  const auto bytes = input_.substr(0, skip_->bytes);
  pass_over(bytes);
  input_.remove_prefix(bytes.size());
  if (skip_->bytes != 0) return std::nullopt;
  const auto passed = std::move(skip_);
  if (crc_ && passed->crc != passed->trailer) {
    fail(Violation::Kind::kBadCrc, kCrcMismatch);
    return std::nullopt;
  }
  return Frame{.header = passed->header, .data = {}, .refusal = passed->refusal};
}

void FrameReader::pass_over(std::string_view bytes) {
  if (crc_) {
    const std::size_t covered = std::min(bytes.size(), skip_->bytes > kCrcBytes ? skip_->bytes - kCrcBytes : 0);
    skip_->crc = crc32c(skip_->crc, bytes.substr(0, covered));
    for (const char c : bytes.substr(covered)) skip_->trailer = skip_->trailer << 8 | static_cast<std::uint8_t>(c);
  }
  skip_->bytes -= bytes.size();
}

// Checks the checksum behind a frame.
bool FrameReader::check_crc(std::string_view frame) {
  if (crc32c(0, frame) == load_be32(frame.data() + frame.size())) return true;
  fail(Violation::Kind::kBadCrc, kCrcMismatch);
  return false;
}

void FrameReader::refuse_protocol() {
  fail(Violation::Kind::kNotTtrpc,
       "the first byte does not start a ttrpc frame; this looks like " + std::string(guess_protocol(input_[0])));
}

// Returns false.
bool FrameReader::refuse_length(const FrameHeader& header) {
  oversized_ = header;
  fail(Violation::Kind::kBadFrame, "a frame claims " + std::to_string(header.length) + " bytes; at most " +
                                       std::to_string(kMaxDataBytes) + " are allowed");
  return false;
}

void FrameReader::resume(const std::optional<SkippedFrame>& skipping) {
  first_ = false;
  if (skipping) skip_ = std::make_unique<SkippedFrame>(*skipping);
}

void FrameReader::drop_partial() {
  partial_.reset();
  partial_given_ = false;
  if (charged_ != 0) budget_->release(std::exchange(charged_, 0));
}

void FrameReader::fail(Violation::Kind kind, std::string text) {
  input_ = {};
  drop_partial();
  violation_ = std::make_unique<Violation>(Violation{kind, std::move(text)});
}

}  // namespace hostcall::wire
