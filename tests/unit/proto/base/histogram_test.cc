#include "proto/base/histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace hostcall {
namespace {

using std::chrono::microseconds;

TEST(DurationHistogramTest, ABoundBelongsToItsBucket) {
  for (std::size_t i = 0; i < DurationHistogram::kBounds.size(); ++i) {
    DurationHistogram histogram;
    histogram.add(DurationHistogram::kBounds[i]);
    histogram.add(DurationHistogram::kBounds[i] + nanoseconds(1));
    DurationHistogram::Buckets expected{};
    expected[i] = expected[i + 1] = 1;
    EXPECT_EQ(histogram.buckets(), expected) << i;
  }
}

TEST(DurationHistogramTest, BoundsRiseFromTenMicrosecondsToTenSeconds) {
  const auto& bounds = DurationHistogram::kBounds;
  EXPECT_TRUE(std::ranges::is_sorted(bounds));
  EXPECT_EQ(bounds.front(), microseconds(10));
  EXPECT_EQ(bounds.back(), seconds(10));
}

TEST(DurationHistogramTest, ADurationStandsForSeveral) {
  DurationHistogram histogram;
  histogram.add(microseconds(20), 16);
  histogram.add(milliseconds(2));
  EXPECT_EQ(histogram.count(), 17u);
  EXPECT_EQ(histogram.sum(), microseconds(2320));
}

TEST(DurationHistogramTest, QuantilesAreBounds) {
  DurationHistogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), Duration::zero()) << "there are none";
  histogram.add(microseconds(20), 98);
  histogram.add(milliseconds(2));
  histogram.add(seconds(60));
  EXPECT_EQ(histogram.quantile(0), microseconds(30)) << "the lowest bucket that has any";
  EXPECT_EQ(histogram.quantile(0.5), microseconds(30));
  EXPECT_EQ(histogram.quantile(0.98), microseconds(30));
  EXPECT_EQ(histogram.quantile(0.99), milliseconds(3));
  EXPECT_EQ(histogram.quantile(1), Duration::max()) << "more than the highest bound";
}

}  // namespace
}  // namespace hostcall
