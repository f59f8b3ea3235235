// Percentiles out of buckets.
#include "client/hostcall/latency_histogram.h"

#include <gtest/gtest.h>

namespace hostcall::cli::guest {
namespace {

using namespace std::chrono_literals;

TEST(LatencyHistogram, SmallTimesAreExact) {
  LatencyHistogram times;
  for (int i = 100; i >= 1; --i) times.add(nanoseconds(i));
  EXPECT_EQ(times.count(), 100u);
  EXPECT_EQ(times.percentile(50), 50ns);
  EXPECT_EQ(times.percentile(99), 99ns);
  EXPECT_EQ(times.percentile(0), 1ns);
  EXPECT_EQ(times.percentile(100), 100ns);
}

TEST(LatencyHistogram, OneTimeIsEveryPercentile) {
  LatencyHistogram times;
  times.add(12'345'678ns);
  for (const double percent : {0.0, 50.0, 99.0, 100.0}) EXPECT_EQ(times.percentile(percent), 12'345'678ns);
}

TEST(LatencyHistogram, IsAtMostOnePartIn64TooLarge) {
  for (std::int64_t value = 1; value < 3'000'000'000'000; value += 1 + value / 7) {
    LatencyHistogram times;
    times.add(nanoseconds(value));
    times.add(1h);  // so that the largest is another one
    EXPECT_GE(times.percentile(50).count(), value);
    EXPECT_LE(times.percentile(50).count(), value + value / 64) << value;
  }
}

TEST(LatencyHistogram, SmallestAndLargestAreExact) {
  LatencyHistogram times;
  for (const auto time : {1'000'003ns, 1'000'001ns, 2'000'003ns}) times.add(time);
  EXPECT_EQ(times.min(), 1'000'001ns);
  EXPECT_EQ(times.max(), 2'000'003ns);
  EXPECT_EQ(times.percentile(100), 2'000'003ns);
}

TEST(LatencyHistogram, TheTailIsSeen) {
  LatencyHistogram times;
  for (int i = 0; i < 990; ++i) times.add(10us);
  for (int i = 0; i < 10; ++i) times.add(5ms);
  EXPECT_LT(times.percentile(99), 11us);
  EXPECT_EQ(times.percentile(99.1), 5ms);
}

}  // namespace
}  // namespace hostcall::cli::guest
