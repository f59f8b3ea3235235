#include "proto/wire/crc32c.h"

#include <array>
#include <cstring>

namespace hostcall::wire {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // 0x1EDC6F41 reflected

constexpr auto kTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    table[i] = value;
  }
  return table;
}();

std::uint32_t update_portable(std::uint32_t crc, std::string_view bytes) {
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<std::uint8_t>(c)) & 0xFF];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t update_sse42(std::uint32_t crc, std::string_view bytes) {
  while (bytes.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof word);
    crc = static_cast<std::uint32_t>(__builtin_ia32_crc32di(crc, word));
    bytes.remove_prefix(sizeof word);
  }
  for (const char c : bytes) crc = __builtin_ia32_crc32qi(crc, static_cast<unsigned char>(c));
  return crc;
}
#endif

std::uint32_t update(std::uint32_t crc, std::string_view bytes) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return update_sse42(crc, bytes);
#endif
  return update_portable(crc, bytes);
}

}  // namespace

std::uint32_t crc32c(std::uint32_t crc, std::string_view bytes) { return ~update(~crc, bytes); }

std::uint32_t crc32c_portable(std::uint32_t crc, std::string_view bytes) { return ~update_portable(~crc, bytes); }

}  // namespace hostcall::wire
