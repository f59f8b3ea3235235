#include "proto/base/utf8.h"

#include <algorithm>

namespace hostcall::utf8 {
namespace {

constexpr std::size_t kMaxBytes = 4;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// The lines of RFC 3629's grammar (section 4): first bytes, the length, and what the second byte may be. Every further
// byte is from 0x80 to 0xBF.
struct Form {
  unsigned char first, last;
  std::size_t bytes;
  unsigned char second_min, second_max;
};
constexpr Form kForms[] = {{0xC2, 0xDF, 2, 0x80, 0xBF}, {0xE0, 0xE0, 3, 0xA0, 0xBF}, {0xE1, 0xEC, 3, 0x80, 0xBF},
                           {0xED, 0xED, 3, 0x80, 0x9F}, {0xEE, 0xEF, 3, 0x80, 0xBF}, {0xF0, 0xF0, 4, 0x90, 0xBF},
                           {0xF1, 0xF3, 4, 0x80, 0xBF}, {0xF4, 0xF4, 4, 0x80, 0x8F}};

const Form* form_of(unsigned char lead) {
  const auto at = std::ranges::lower_bound(kForms, lead, {}, &Form::last);
  return at != std::end(kForms) && lead >= at->first ? at : nullptr;
}

std::size_t bytes_of_first(std::string_view text) {
  const auto point = decode(text);
  return point ? point->bytes : 1;
}

}  // namespace

std::optional<CodePoint> decode_long(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const Form* form = text.empty() ? nullptr : form_of(byte(0));
  if (form == nullptr || text.size() < form->bytes) return std::nullopt;
  if (byte(1) < form->second_min || byte(1) > form->second_max) return std::nullopt;
  char32_t value = byte(0) & (0x7Fu >> form->bytes);
  for (std::size_t i = 1; i < form->bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return std::nullopt;
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  return CodePoint{value, form->bytes};
}

std::size_t count(std::string_view text) {
  std::size_t points = 0;
  for (; !text.empty(); ++points) text.remove_prefix(bytes_of_first(text));
  return points;
}

bool is_valid(std::string_view text) {
  while (!text.empty()) {
    const auto point = decode(text);
    if (!point) return false;
    text.remove_prefix(point->bytes);
  }
  return true;
}

std::string replace_invalid(std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    const auto point = decode(text);
    const auto bytes = point ? point->bytes : 1;
    valid += point ? text.substr(0, bytes) : kReplacement;
    text.remove_prefix(bytes);
  }
  return valid;
}

std::size_t whole_prefix(std::string_view text, std::size_t max) {
  if (text.size() <= max) return text.size();
  for (std::size_t back = 1; back < kMaxBytes && back <= max; ++back)
    if (bytes_of_first(text.substr(max - back)) > back) return max - back;
  return max;
}

}  // namespace hostcall::utf8
