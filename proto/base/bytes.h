// Big-endian integers in byte strings. Bytes are std::string_view everywhere: what
// protobuf takes and gives.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace hostcall {

// Between the host's byte order and the wire's; the same function both ways.
inline std::uint32_t swap_be32(std::uint32_t value) {
  return std::endian::native == std::endian::little ? __builtin_bswap32(value) : value;
}

// Reads from at least four bytes.
inline std::uint32_t load_be32(const char* p) {
  std::uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return swap_be32(value);
}

// Writes four bytes.
inline void store_be32(char* p, std::uint32_t value) {
  value = swap_be32(value);
  std::memcpy(p, &value, sizeof value);
}

inline void append_be32(std::string& out, std::uint32_t value) {
  char bytes[4];
  store_be32(bytes, value);
  out.append(bytes, sizeof bytes);
}

}  // namespace hostcall
