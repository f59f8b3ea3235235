// count: how many of something, for people.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace hostcall {

// "1 key", "2 keys".
inline std::string count(std::uint64_t number, std::string_view noun) {
  return std::to_string(number) + " " + std::string(noun) + (number == 1 ? "" : "s");
}

// "0.5", "10": without zeros that say nothing.
inline std::string plain_number(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", number);
  return text;
}

}  // namespace hostcall
