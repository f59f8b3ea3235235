// The frame: ttrpc's ten-byte header, the frame types and flags of ttrpc 1.2 and of the extension, and the fixed bodies
// of the extension's frames. proto/PROTOCOL.md is normative: change both together, with tests/unit/proto/wire/golden.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proto/base/bytes.h"

namespace hostcall::wire {

inline constexpr std::size_t kHeaderBytes = 10;
inline constexpr std::size_t kCrcBytes = 4;
// ttrpc's limit for a frame's data. A larger claim ends the connection.
inline constexpr std::uint32_t kMaxDataBytes = 4u << 20;
// Credit that each Data frame costs on top of its data, so that tiny frames are not free.
inline constexpr std::uint32_t kDataFrameCost = 64;
inline constexpr std::size_t kGoawayFixedBytes = 12;
inline constexpr std::size_t kMaxGoawayText = 256;

enum class FrameType : std::uint8_t {
  kRequest = 0x01,
  kResponse = 0x02,
  kData = 0x03,
  kCancel = 0x10,
  kWindow = 0x11,
  kPing = 0x12,
  kPong = 0x13,
  kGoaway = 0x14,
};

inline constexpr std::uint8_t kRemoteClosed = 0x01;
inline constexpr std::uint8_t kRemoteOpen = 0x02;
inline constexpr std::uint8_t kNoData = 0x04;

// Feature bits of Session/Hello, values of hostcall.v1.Feature.
enum Feature : std::uint64_t {
  kFeatureCancel = 1,
  kFeatureWindow = 2,
  kFeaturePing = 4,
  kFeatureGoaway = 8,
  kFeatureCrc32c = 16,
};
inline constexpr std::uint64_t kAllFeatures =
    kFeatureCancel | kFeatureWindow | kFeaturePing | kFeatureGoaway | kFeatureCrc32c;

struct FrameHeader {
  std::uint32_t length = 0;  // bytes of data, without header and CRC trailer
  std::uint32_t stream = 0;
  FrameType type{};
  std::uint8_t flags = 0;
  bool operator==(const FrameHeader&) const = default;
};

// Reads kHeaderBytes.
inline FrameHeader decode_header(const char* p) {
  return {.length = load_be32(p),
          .stream = load_be32(p + 4),
          .type = static_cast<FrameType>(static_cast<std::uint8_t>(p[8])),
          .flags = static_cast<std::uint8_t>(p[9])};
}

// Writes kHeaderBytes.
inline void encode_header(const FrameHeader& header, char* p) {
  store_be32(p, header.length);
  store_be32(p + 4, header.stream);
  p[8] = static_cast<char>(header.type);
  p[9] = static_cast<char>(header.flags);
}

enum class GoawayReason : std::uint32_t {
  kShutdown = 0,       // the daemon stops or restarts
  kProtocolError = 1,  // the peer broke the protocol; the text says how
  kSuperseded = 2,     // a newer boot or registration of the VM has taken over
  kRemoved = 3,        // the VM was removed, or an administrator closed the session
  kLimit = 4,          // a limit of the VM was exceeded
  kIdle = 5,           // no heartbeat, or idle for too long
  kClient = 6,         // the client is done
};

struct Goaway {
  std::uint32_t last_stream = 0;  // calls on later streams were not handled: safe to repeat
  GoawayReason reason{};
  std::uint32_t retry_after_ms = 0;
  std::string_view text;  // for people; at most kMaxGoawayText bytes
};

// Reads a Goaway body. Nothing: it is too short, or its text too long.
inline std::optional<Goaway> decode_goaway(std::string_view data) {
  if (data.size() < kGoawayFixedBytes || data.size() > kGoawayFixedBytes + kMaxGoawayText) return std::nullopt;
  return Goaway{.last_stream = load_be32(data.data()),
                .reason = static_cast<GoawayReason>(load_be32(data.data() + 4)),
                .retry_after_ms = load_be32(data.data() + 8),
                .text = data.substr(kGoawayFixedBytes)};
}

}  // namespace hostcall::wire
