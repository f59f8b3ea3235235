// RawPeer: one end of a connection that knows frames, but keeps no rules: sends whatever it is told, and hands over
// what the other end sends, whose framing must be right.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "proto/base/unique_fd.h"
#include "proto/net/socket.h"
#include "proto/wire/crc32c.h"
#include "proto/wire/reader.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/frames.h"

namespace hostcall::fuzz {

class RawPeer {
 public:
  explicit RawPeer(UniqueFd fd) : fd_(std::move(fd)) {}

  bool open() const { return static_cast<bool>(fd_); }
  void close() { fd_.reset(); }
  // From here on, frames have checksums both ways.
  void agree_on_crc() {
    crc_ = true;
    reader_.expect_crc();
  }

  void send_frame(wire::FrameType type, std::uint32_t stream, std::uint8_t flags, std::string_view data) {
    auto bytes = test::frame(type, stream, flags, data);
    if (crc_) append_be32(bytes, wire::crc32c(0, bytes));
    send(bytes);
  }
  // What the socket does not take is sent later.
  void send(std::string_view bytes) {
    unsent_ += bytes;
    flush();
  }
  // Reads all that has come: visit(frame).
  template <class Visit>
  void read(Visit visit) {
    flush();
    // Not on the stack: the reader keeps a view of it, which gcc 14 warns of.
    static std::array<char, 64 * 1024> buffer;
    while (open()) {
      const auto received = net::receive(fd_.get(), buffer);
      if (!received.ok() || received.value().end) return close();
      if (received.value().would_block) return;
      reader_.feed({buffer.data(), received.value().bytes});
      while (const auto frame = reader_.next()) visit(*frame);
      require(reader_.violation() == nullptr, "the other side's frames are right");
    }
  }

 private:
  void flush() {
    while (open() && !unsent_.empty()) {
      const iovec piece{unsent_.data(), unsent_.size()};
      const auto sent = net::send(fd_.get(), {&piece, 1});
      if (!sent.ok()) return unsent_.clear();
      if (sent.value() == 0) return;
      unsent_.erase(0, sent.value());
    }
  }

  UniqueFd fd_;
  wire::FrameReader reader_{wire::kMaxDataBytes, nullptr};
  std::string unsent_;
  bool crc_ = false;
};

// A stream's id: one that is known, a neighbour, or one near 0 or 2^32.
inline std::uint32_t stream_id(Choices& choices, std::uint32_t known) {
  constexpr std::uint8_t kKnownBelow = 0xC0;
  const auto choice = choices.byte();
  if (choice < kKnownBelow) return known;
  const std::uint32_t bases[] = {0, known, UINT32_MAX};
  return bases[choice % 3] + static_cast<std::uint32_t>(static_cast<std::int8_t>(choices.byte()));
}

// The body of one of the extension's frames, mostly of the right size.
inline std::string control_body(Choices& choices, wire::FrameType type) {
  const auto number = static_cast<std::uint32_t>(choices.number());
  std::string body = test::be32(number);
  if (type == wire::FrameType::kPing || type == wire::FrameType::kPong) body += test::be32(number);
  if (type == wire::FrameType::kGoaway)
    ((body += test::be32(choices.byte() % 8u)) += test::be32(static_cast<std::uint32_t>(choices.number()))) +=
        choices.text();
  constexpr std::uint8_t kRightBelow = 0xF8;
  if (choices.byte() >= kRightBelow) body.resize(choices.byte());
  return body;
}

inline constexpr wire::FrameType kControls[] = {wire::FrameType::kWindow, wire::FrameType::kCancel,
                                                wire::FrameType::kPing, wire::FrameType::kPong,
                                                wire::FrameType::kGoaway};

}  // namespace hostcall::fuzz
