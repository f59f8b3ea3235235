// Messages of byte streams without copies: their one large field is found, or written, in place.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

namespace hostcall::daemon {

// Room that with_field_header() needs in front of the bytes.
inline constexpr std::size_t kFieldHeaderBytes = 8;

// Puts the header of field `number` (below 16) of type bytes in front of the bytes of `buffer` that begin at
// kFieldHeaderBytes, and returns the serialised message, within the buffer.
std::string_view with_field_header(std::span<char> buffer, unsigned number, std::size_t bytes);

// A field of a serialised message.
struct MessageField {
  unsigned number = 0;
  std::uint64_t integer = 0;  // if it is a varint
  std::string_view bytes;     // if it has a length
};
// Calls `visit` for each field in order, until that returns false. False: it did, or the message is malformed or has
// more than kMaxFields fields.
bool for_each_field(std::string_view message, const std::function<bool(const MessageField&)>& visit);

}  // namespace hostcall::daemon
