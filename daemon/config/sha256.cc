#include "daemon/config/sha256.h"

#include <nettle/sha2.h>

#include <array>
#include <cstdint>

namespace hostcall::daemon {

std::string sha256(std::string_view text) {
  sha256_ctx context;
  ::nettle_sha256_init(&context);
  ::nettle_sha256_update(&context, text.size(), reinterpret_cast<const std::uint8_t*>(text.data()));
  std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest{};
  ::nettle_sha256_digest(&context, digest.size(), digest.data());
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hexadecimal;
  for (const auto byte : digest) (hexadecimal += kDigits[byte >> 4]) += kDigits[byte & 15];
  return hexadecimal;
}

}  // namespace hostcall::daemon
