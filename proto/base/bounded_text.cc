#include "proto/base/bounded_text.h"

namespace hostcall {
namespace {

constexpr std::string_view kEllipsis = "…";

// A UTF-8 character has at most this many bytes behind its first.
constexpr int kMaxContinuation = 3;

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

std::string bounded_text(std::string_view text, std::size_t max) {
  if (text.size() <= max) return std::string(text);
  auto end = max - kEllipsis.size();
  for (int back = 0; back < kMaxContinuation && end > 0 && continues_character(text[end]); ++back) --end;
  return std::string(text.substr(0, end)).append(kEllipsis);
}

}  // namespace hostcall
