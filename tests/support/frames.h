// Builds frames as a peer would, legal or not, and reads annotated hexadecimal: tests feed the engine without using its
// own framing. See wire_peer.h for the engine's side.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/bytes.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"

namespace hostcall::test {

// Converts hexadecimal text to bytes. Ignores blanks, line ends, and everything from a ';' to the end of its line.
inline std::string from_hex(std::string_view text) {
  std::string bytes;
  int high = -1;
  bool comment = false;
  for (const char c : text) {
    if (c == ';') comment = true;
    if (c == '\n') comment = false;
    if (comment || c == ' ' || c == '\n') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high >= 0) bytes.push_back(static_cast<char>(high * 16 + digit));
    high = high >= 0 ? -1 : digit;
  }
  return bytes;
}

// A frame of any type and flags.
inline std::string frame(wire::FrameType type, std::uint32_t stream, std::uint8_t flags, std::string_view data) {
  std::string bytes;
  append_be32(bytes, static_cast<std::uint32_t>(data.size()));
  append_be32(bytes, stream);
  bytes.push_back(static_cast<char>(type));
  bytes.push_back(static_cast<char>(flags));
  return bytes.append(data);
}

// A header that claims `length` bytes of data that do not follow.
inline std::string header(std::uint32_t length, std::uint32_t stream, wire::FrameType type, std::uint8_t flags = 0) {
  auto bytes = frame(type, stream, flags, {});
  store_be32(bytes.data(), length);
  return bytes;
}

// One length-delimited field of a message, for numbers below 16 and fewer than 128 bytes.
inline std::string field(int number, std::string_view bytes) {
  std::string out{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())};
  return out.append(bytes);
}

// A call of any method. Only this uses the engine's writer, for the Request message in the frame.
inline std::string request_frame(std::uint32_t stream, const wire::RequestFields& fields, std::string_view payload = {},
                                 std::uint8_t flags = 0) {
  std::string message(wire::request_size(fields, payload.size()), '\0');
  wire::write_request(fields, payload, message.data());
  return frame(wire::FrameType::kRequest, stream, flags, message);
}

inline std::string request(std::uint32_t stream, std::uint8_t flags = 0, std::string_view payload = {}) {
  const auto body = field(1, "a.B") + field(2, "C") + (payload.empty() ? "" : field(3, payload));
  return frame(wire::FrameType::kRequest, stream, flags, body);
}

inline std::string data(std::uint32_t stream, std::string_view bytes, std::uint8_t flags = 0) {
  return frame(wire::FrameType::kData, stream, flags, bytes);
}

inline std::string be32(std::uint32_t value) {
  std::string bytes;
  append_be32(bytes, value);
  return bytes;
}

}  // namespace hostcall::test
