// UTF-8 as RFC 3629 has it: shortest form, no surrogates, nothing above U+10FFFF. The only decoder, so that the same
// bytes get the same verdict everywhere.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace hostcall::utf8 {

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;  // 1 to 4
};

// For a text that does not begin with ASCII.
std::optional<CodePoint> decode_long(std::string_view text);

// The code point that the text begins with. Nothing: the text is empty, or its first byte begins none.
inline std::optional<CodePoint> decode(std::string_view text) {
  if (text.empty() || static_cast<unsigned char>(text[0]) >= 0x80) return decode_long(text);
  return CodePoint{static_cast<unsigned char>(text[0]), 1};
}

// How many code points the text has. A byte that belongs to none counts as one.
std::size_t count(std::string_view text);

bool is_valid(std::string_view text);

// The text with U+FFFD for each byte that belongs to no code point: what a protobuf string can hold.
std::string replace_invalid(std::string_view text);

// The size of the longest prefix of at most `max` bytes that does not end inside a code point.
std::size_t whole_prefix(std::string_view text, std::size_t max);

}  // namespace hostcall::utf8
