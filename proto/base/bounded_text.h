// Text with a bound: what is told to others may quote what somebody sent, and must not grow with it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hostcall {

// The message of a status, the reason of a bad file. In bytes.
inline constexpr std::size_t kMaxToldText = 8 * 1024;

// The text; if it is longer than `max` bytes (3 or more), what fits of it before "…". Cuts UTF-8 between characters.
std::string bounded_text(std::string_view text, std::size_t max = kMaxToldText);

}  // namespace hostcall
