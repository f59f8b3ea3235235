#include "proto/base/bounded_text.h"

#include "proto/base/utf8.h"

namespace hostcall {
namespace {

constexpr std::string_view kEllipsis = "…";

}  // namespace

std::string bounded_text(std::string_view text, std::size_t max) {
  if (text.size() <= max) return std::string(text);
  return std::string(text.substr(0, utf8::whole_prefix(text, max - kEllipsis.size()))).append(kEllipsis);
}

}  // namespace hostcall
