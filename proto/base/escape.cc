#include "proto/base/escape.h"

#include <algorithm>

#include "proto/base/utf8.h"

namespace hostcall {
namespace {

struct Range {
  char32_t first, last;
};

// Sorted: control and format characters, what Unicode calls default ignorable, and what has no ink or no meaning.
constexpr Range kHidden[] = {
    {0x00, 0x1F},         // C0
    {0x7F, 0x9F},         // DEL and C1
    {0xAD, 0xAD},         // soft hyphen
    {0x034F, 0x034F},     // combining grapheme joiner
    {0x0600, 0x0605},     // Arabic number signs, which format what follows
    {0x061C, 0x061C},     // Arabic letter mark, a bidi control
    {0x06DD, 0x06DD},     // Arabic end of ayah
    {0x070F, 0x070F},     // Syriac abbreviation mark
    {0x0890, 0x0891},     // Arabic currency marks
    {0x08E2, 0x08E2},     // Arabic disputed end of ayah
    {0x115F, 0x1160},     // Hangul fillers
    {0x17B4, 0x17B5},     // Khmer inherent vowels
    {0x180B, 0x180F},     // Mongolian variation selectors and vowel separator
    {0x200B, 0x200F},     // zero-width space, non-joiner and joiner; left-to-right and right-to-left mark
    {0x2028, 0x202E},     // line and paragraph separator; bidi embeddings and overrides
    {0x2060, 0x206F},     // word joiner, invisible operators; bidi isolates; deprecated format characters
    {0x2800, 0x2800},     // Braille without dots
    {0x3164, 0x3164},     // Hangul filler
    {0xE000, 0xF8FF},     // private use
    {0xFDD0, 0xFDEF},     // noncharacters
    {0xFE00, 0xFE0F},     // variation selectors
    {0xFEFF, 0xFEFF},     // zero-width no-break space
    {0xFFA0, 0xFFA0},     // half-width Hangul filler
    {0xFFF0, 0xFFFB},     // interlinear annotation
    {0xFFFE, 0xFFFF},     // noncharacters
    {0x110BD, 0x110BD},   // Kaithi number sign
    {0x110CD, 0x110CD},   // the same, above
    {0x13430, 0x1345F},   // Egyptian hieroglyph format controls
    {0x1BCA0, 0x1BCA3},   // shorthand format controls
    {0x1D173, 0x1D17A},   // musical format controls
    {0xE0000, 0x10FFFF},  // tags, variation selectors, private use
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

// Two digits.
std::string hex_digits(char32_t byte) {
  constexpr char kDigits[] = "0123456789abcdef";
  return {kDigits[byte >> 4], kDigits[byte & 15]};
}

std::string hex_escape(char c) { return "\\x" + hex_digits(static_cast<unsigned char>(c)); }

// `kept`: characters that stay although they drive a terminal.
std::string escape_all(std::string_view text, std::size_t max, std::string_view backslash, std::string_view kept = {}) {
  std::string out;
  while (!text.empty()) {
    const auto plain = kept.find(text[0]) == kept.npos ? plain_prefix(text) : 1;
    const auto piece = plain == 0        ? hex_escape(text[0])
                       : text[0] == '\\' ? std::string(backslash)
                                         : std::string(text.substr(0, plain));
    if (piece.size() > max - out.size()) return out + "...";
    out += piece;
    text.remove_prefix(std::max<std::size_t>(plain, 1));
  }
  return out;
}

std::string utf16_escape(char32_t unit) { return "\\u" + hex_digits(unit >> 8 & 0xFF) + hex_digits(unit & 0xFF); }

std::string json_escape(char32_t point) {
  if (point < 0x10000) return utf16_escape(point);
  const auto rest = point - 0x10000;
  return utf16_escape(0xD800 + (rest >> 10)) + utf16_escape(0xDC00 + (rest & 0x3FF));
}

}  // namespace

std::string escape(std::string_view text, std::size_t max) { return escape_all(text, max, R"(\\)"); }

std::string escape_message(std::string_view text, std::size_t max) { return escape_all(text, max, R"(\)"); }

std::string escape_lines(std::string_view text) { return escape_all(text, kWholeText, R"(\\)", "\n\t"); }

std::string escape_json(std::string_view json) {
  std::string out;
  while (!json.empty()) {
    const auto point = utf8::decode(json);
    const std::size_t bytes = point ? point->bytes : 1;
    out += point && point->value >= 0x7F && is_hidden(point->value) ? json_escape(point->value)
                                                                    : std::string(json.substr(0, bytes));
    json.remove_prefix(bytes);
  }
  return out;
}

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
