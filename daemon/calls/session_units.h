// What the work of a session costs, in units of daemon/loop/work.h.
#pragma once

#include <cstddef>

#include "daemon/loop/work.h"

namespace hostcall::daemon {

inline constexpr Units kEventUnits = 1;
// Parsing a request costs more than copying bytes.
inline constexpr std::size_t kRequestBytesPerUnit = 1024;

// The rest of a request may be metadata of two bytes each.
inline constexpr std::size_t kEnvelopeBytesPerUnit = 128;

inline Units units_of_request(std::size_t payload_bytes, std::size_t envelope_bytes) {
  return kEventUnits +
         static_cast<Units>(payload_bytes / kRequestBytesPerUnit + envelope_bytes / kEnvelopeBytesPerUnit);
}

inline Units units_of_message(std::size_t bytes) {
  return kEventUnits + static_cast<Units>(bytes / kCopiedBytesPerUnit);
}

}  // namespace hostcall::daemon
