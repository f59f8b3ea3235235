#include "proto/base/escape.h"

#include <algorithm>

#include "proto/base/utf8.h"

namespace hostcall {
namespace {

struct Range {
  char32_t first, last;
};

// Sorted.
constexpr Range kHidden[] = {
    {0x00, 0x1F},        // C0
    {0x7F, 0x9F},        // DEL and C1
    {0x061C, 0x061C},    // Arabic letter mark, a bidi control
    {0x200B, 0x200F},    // zero-width space, non-joiner and joiner; left-to-right and right-to-left mark
    {0x2028, 0x202E},    // line and paragraph separator; bidi embeddings and overrides
    {0x2060, 0x2069},    // word joiner, invisible operators; bidi isolates
    {0xFEFF, 0xFEFF},    // zero-width no-break space
    {0xE0000, 0xE007F},  // tags
};

bool is_hidden(char32_t point) {
  const auto* at = std::ranges::lower_bound(kHidden, point, {}, &Range::last);
  return at != std::end(kHidden) && point >= at->first;
}

// Bytes of the character that the text starts with and that can be shown as it is; 0: its first byte can't.
std::size_t plain_prefix(std::string_view text) {
  const auto point = utf8::decode(text);
  return point && !is_hidden(point->value) ? point->bytes : 0;
}

std::string hex_escape(char c) {
  constexpr char kDigits[] = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(c);
  return {'\\', 'x', kDigits[value >> 4], kDigits[value & 15]};
}

std::string escape_all(std::string_view text, std::size_t max, std::string_view backslash) {
  std::string out;
  while (!text.empty()) {
    const auto plain = plain_prefix(text);
    const auto piece = plain == 0        ? hex_escape(text[0])
                       : text[0] == '\\' ? std::string(backslash)
                                         : std::string(text.substr(0, plain));
    if (piece.size() > max - out.size()) return out + "...";
    out += piece;
    text.remove_prefix(std::max<std::size_t>(plain, 1));
  }
  return out;
}

}  // namespace

std::string escape(std::string_view text, std::size_t max) { return escape_all(text, max, R"(\\)"); }

std::string escape_message(std::string_view text, std::size_t max) { return escape_all(text, max, R"(\)"); }

std::string in_quotes(std::string_view text, std::size_t max) {
  auto out = escape(text, max);
  for (auto at = out.find('"'); at != std::string::npos; at = out.find('"', at)) out.replace(at, 1, hex_escape('"'));
  return '"' + out + '"';
}

bool is_plain(std::string_view text) {
  while (const auto plain = plain_prefix(text)) text.remove_prefix(plain);
  return text.empty();
}

}  // namespace hostcall
