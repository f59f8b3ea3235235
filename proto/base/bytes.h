// Big-endian integers in byte strings. Bytes are std::string_view everywhere: what
// protobuf takes and gives.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace hostcall {

// Reads from at least four bytes.
inline std::uint32_t load_be32(const char* p) {
  std::uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return __builtin_bswap32(value);
}

// Writes four bytes.
inline void store_be32(char* p, std::uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(p, &value, sizeof value);
}

inline void append_be32(std::string& out, std::uint32_t value) {
  char bytes[4];
  store_be32(bytes, value);
  out.append(bytes, sizeof bytes);
}

}  // namespace hostcall
