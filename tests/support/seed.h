// Seeds of a test's random choices. Prints each, so that the log of a failed test contains it; $HOSTCALL_SEED sets it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>

namespace hostcall::test {

// $HOSTCALL_SEED; defaults to `usual`.
inline std::uint32_t seed(std::uint32_t usual) {
  static std::optional<std::uint32_t> printed;
  const char* wanted = std::getenv("HOSTCALL_SEED");
  const auto value = wanted == nullptr ? usual : static_cast<std::uint32_t>(std::stoul(wanted));
  // Prints a repeated seed only once.
  if (printed != value) std::printf("random choices: HOSTCALL_SEED=%u\n", value);
  printed = value;
  return value;
}

// The same, but defaults to another seed in each run.
inline std::uint32_t fresh_seed() { return seed(std::random_device()()); }

}  // namespace hostcall::test
