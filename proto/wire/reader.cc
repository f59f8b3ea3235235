#include "proto/wire/reader.h"

#include <algorithm>

#include "proto/wire/crc32c.h"

namespace hostcall::wire {
namespace {

// What a first byte that is no ttrpc length looks like.
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

std::optional<Frame> FrameReader::next() {
  if (partial_given_) drop_partial();
  if (violation_) return std::nullopt;
  skip_input();
  if (input_.empty()) return std::nullopt;
  return partial_.empty() ? next_in_place() : resume_partial();
}

std::optional<Frame> FrameReader::next_in_place() {
  if (first_ && input_[0] != 0) {
    fail(Violation::Kind::kNotTtrpc,
         "the first byte is not a ttrpc frame's: this looks like " + std::string(guess_protocol(input_[0])));
    return std::nullopt;
  }
  if (input_.size() < kHeaderBytes) return keep_rest();
  const auto header = decode_header(input_.data());
  if (!check_header(header, input_.data())) return std::nullopt;
  if (header.length > max_data_) return refuse(header, 0, Refusal::kTooLarge);
  const std::size_t whole = kHeaderBytes + header.length + trailer();
  if (input_.size() < whole) return keep_rest();
  const char* frame = input_.data();
  input_.remove_prefix(whole);
  return complete(header, frame);
}

std::optional<Frame> FrameReader::resume_partial() {
  if (partial_.size() < kHeaderBytes) {
    if (!take_partial(kHeaderBytes)) return std::nullopt;
    if (partial_.size() < kHeaderBytes) return std::nullopt;
    const auto header = decode_header(partial_.data());
    if (!check_header(header, partial_.data())) return std::nullopt;
    if (header.length > max_data_) return refuse(header, kHeaderBytes, Refusal::kTooLarge);
  }
  const auto header = decode_header(partial_.data());
  const std::size_t whole = kHeaderBytes + header.length + trailer();
  if (!take_partial(whole)) return refuse(header, partial_.size(), Refusal::kNoBudget);
  if (partial_.size() < whole) return std::nullopt;
  partial_given_ = true;
  return complete(header, partial_.data());
}

// Moves input to partial_ until that holds `want` bytes. False: the budget refused.
bool FrameReader::take_partial(std::size_t want) {
  const std::size_t bytes = std::min(want - partial_.size(), input_.size());
  if (budget_ != nullptr && !budget_->try_charge(bytes)) {
    if (partial_.size() < kHeaderBytes) fail(Violation::Kind::kBadFrame, "no memory is left for a frame header");
    return false;
  }
  charged_ += static_cast<std::uint32_t>(bytes);
  // Growth doubles, but never past the frame.
  const std::size_t needed = partial_.size() + bytes;
  if (needed > partial_.capacity()) partial_.reserve(std::min(want, std::max(needed, 2 * partial_.capacity())));
  partial_.append(input_.substr(0, bytes));
  input_.remove_prefix(bytes);
  return true;
}

// The input ends inside a frame: keeps what there is of it.
std::optional<Frame> FrameReader::keep_rest() {
  if (input_.size() >= kHeaderBytes) {
    const auto header = decode_header(input_.data());
    if (!take_partial(input_.size())) return refuse(header, 0, Refusal::kNoBudget);
    return std::nullopt;
  }
  take_partial(input_.size());
  return std::nullopt;
}

// Reports a frame without its data, of which `seen` bytes are used up, and passes over the rest.
std::optional<Frame> FrameReader::refuse(const FrameHeader& header, std::size_t seen, Refusal refusal) {
  first_ = false;
  drop_partial();
  skip_ = static_cast<std::uint32_t>(kHeaderBytes + header.length + trailer() - seen);
  skip_input();
  return Frame{.header = header, .data = {}, .refusal = refusal};
}

std::optional<Frame> FrameReader::complete(const FrameHeader& header, const char* frame) {
  first_ = false;
  const std::string_view covered(frame, kHeaderBytes + header.length);
  if (crc_ && crc32c(0, covered) != load_be32(covered.data() + covered.size())) {
    fail(Violation::Kind::kBadCrc, "CRC32C mismatch: bytes were lost or changed on the way");
    return std::nullopt;
  }
  return Frame{.header = header, .data = covered.substr(kHeaderBytes)};
}

bool FrameReader::check_header(const FrameHeader& header, const char* bytes) {
  if (header.length <= kMaxDataBytes) return true;
  if (first_ && bytes[0] != 0)
    fail(Violation::Kind::kNotTtrpc, "the first bytes are not a ttrpc frame");
  else
    fail(Violation::Kind::kBadFrame, "a frame claims " + std::to_string(header.length) + " bytes, at most " +
                                         std::to_string(kMaxDataBytes) + " are allowed");
  return false;
}

void FrameReader::skip_input() {
  const std::size_t bytes = std::min<std::size_t>(skip_, input_.size());
  input_.remove_prefix(bytes);
  skip_ -= static_cast<std::uint32_t>(bytes);
}

void FrameReader::drop_partial() {
  partial_.reset();
  partial_given_ = false;
  if (charged_ != 0) budget_ == nullptr ? void() : budget_->release(charged_);
  charged_ = 0;
}

void FrameReader::fail(Violation::Kind kind, std::string text) {
  input_ = {};
  violation_ = Violation{kind, std::move(text)};
}

}  // namespace hostcall::wire
