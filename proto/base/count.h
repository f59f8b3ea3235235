// count: how many of something, for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hostcall {

// "1 key", "2 keys".
inline std::string count(std::uint64_t number, std::string_view noun) {
  return std::to_string(number) + " " + std::string(noun) + (number == 1 ? "" : "s");
}

}  // namespace hostcall
