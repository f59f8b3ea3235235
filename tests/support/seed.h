// Seeds of a test's random choices: every one is printed, so that the log of a failed test has it, and $HOSTCALL_SEED
// sets it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>

namespace hostcall::test {

// $HOSTCALL_SEED or, without it, `usual`.
inline std::uint32_t seed(std::uint32_t usual) {
  static std::optional<std::uint32_t> printed;
  const char* wanted = std::getenv("HOSTCALL_SEED");
  const auto value = wanted == nullptr ? usual : static_cast<std::uint32_t>(std::stoul(wanted));
  // A test that asks for the same seed again and again says it once.
  if (printed != value) std::printf("random choices: HOSTCALL_SEED=%u\n", value);
  printed = value;
  return value;
}

// The same, with another seed in each run.
inline std::uint32_t fresh_seed() { return seed(std::random_device()()); }

}  // namespace hostcall::test
