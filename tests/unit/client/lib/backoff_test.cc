#include "client/lib/backoff.h"

#include <gtest/gtest.h>

namespace hostcall::client {
namespace {

TEST(Backoff, StaysWithinTheDoublingBoundAndTheCap) {
  const milliseconds base(50), cap(5'000);
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Backoff backoff(base, cap, seed);
    for (unsigned failure = 0; failure < 100; ++failure) {
      const auto pause = backoff.next();
      EXPECT_GE(pause, Duration::zero());
      EXPECT_LE(pause, std::min<Duration>(cap, base * (1ll << std::min(failure, 20u))));
    }
  }
}

TEST(Backoff, UsesTheWholeRange) {
  Duration least = Duration::max(), most{};
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Backoff backoff(milliseconds(100), seconds(5), seed);
    const auto pause = backoff.next();
    least = std::min(least, pause);
    most = std::max(most, pause);
  }
  EXPECT_LT(least, milliseconds(5));
  EXPECT_GT(most, milliseconds(95));
}

TEST(Backoff, ResetStartsAgainAtTheBase) {
  Backoff backoff(milliseconds(50), seconds(5), 3);
  for (int i = 0; i < 10; ++i) backoff.next();
  EXPECT_EQ(backoff.failures(), 10u);
  backoff.reset();
  EXPECT_EQ(backoff.failures(), 0u);
  EXPECT_LE(backoff.next(), milliseconds(50));
}

}  // namespace
}  // namespace hostcall::client
