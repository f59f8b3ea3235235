#include "proto/base/escape.h"

namespace hostcall {
namespace {

// The bytes of the well-formed, printable UTF-8 sequence at the start of text; 0: none, escape the first byte.
// U+0080 to U+009F are control characters too.
std::size_t printable_prefix(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned lead = byte(0);
  if (lead >= 0x20 && lead < 0x7F) return 1;
  if (lead == 0xC2) return follows(1, 0xA0) ? 2 : 0;
  if (lead > 0xC2 && lead <= 0xDF) return follows(1) ? 2 : 0;
  if (lead == 0xE0) return follows(1, 0xA0) && follows(2) ? 3 : 0;
  if (lead == 0xED) return follows(1, 0x80, 0x9F) && follows(2) ? 3 : 0;  // no surrogates
  if (lead > 0xE0 && lead <= 0xEF) return follows(1) && follows(2) ? 3 : 0;
  if (lead == 0xF0) return follows(1, 0x90) && follows(2) && follows(3) ? 4 : 0;
  if (lead > 0xF0 && lead < 0xF4) return follows(1) && follows(2) && follows(3) ? 4 : 0;
  if (lead == 0xF4) return follows(1, 0x80, 0x8F) && follows(2) && follows(3) ? 4 : 0;
  return 0;
}

std::string hex_escape(char c) {
  constexpr char kDigits[] = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(c);
  return {'\\', 'x', kDigits[value >> 4], kDigits[value & 15]};
}

}  // namespace

std::string escape(std::string_view text, std::size_t max) {
  std::string out;
  while (!text.empty()) {
    const auto printable = printable_prefix(text);
    const auto taken = printable == 0 ? 1 : printable;
    const auto piece = printable == 0 ? hex_escape(text[0]) : std::string(text.substr(0, taken));
    if (out.size() + piece.size() > max) return out + "...";
    out += piece;
    text.remove_prefix(taken);
  }
  return out;
}

std::string in_quotes(std::string_view text, std::size_t max) {
  auto out = escape(text, max);
  for (auto at = out.find('"'); at != std::string::npos; at = out.find('"', at)) out.replace(at, 1, hex_escape('"'));
  return '"' + out + '"';
}

}  // namespace hostcall
