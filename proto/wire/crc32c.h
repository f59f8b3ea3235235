// CRC32C (Castagnoli), the checksum of the CRC feature.
#pragma once

#include <cstdint>
#include <string_view>

namespace hostcall::wire {

// Continues `crc` (0 at the start) over more bytes.
std::uint32_t crc32c(std::uint32_t crc, std::string_view bytes);
// The same without the CPU's CRC instruction.
std::uint32_t crc32c_portable(std::uint32_t crc, std::string_view bytes);

}  // namespace hostcall::wire
