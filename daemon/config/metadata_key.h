// What a key of a call's metadata is made of, where it is passed on.
#pragma once

#include <algorithm>
#include <string_view>

namespace hostcall::daemon {

// Whether the text is [a-z0-9-_.]*. With other characters, a server could take a key for one that it is not.
inline bool is_metadata_text(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace hostcall::daemon
