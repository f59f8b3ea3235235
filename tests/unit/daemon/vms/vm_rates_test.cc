// Rates of a VM, from samples that are some seconds old.
#include "daemon/vms/vm_rates.h"

#include <gtest/gtest.h>

namespace hostcall::daemon {
namespace {

constexpr TimePoint kStart{seconds(1000)};

TEST(VmRatesTest, ThereAreNoneBeforeASample) {
  VmCounts counts;
  counts.calls = 7;
  VmRates rates;
  EXPECT_EQ(rates.of(counts, kStart).window, Duration::zero());
  rates.sample(counts, kStart);
  EXPECT_EQ(rates.of(counts, kStart).window, Duration::zero());
  EXPECT_EQ(rates.of(counts, kStart).calls, 0);
}

TEST(VmRatesTest, AreThoseSinceTheSampleBeforeTheLast) {
  VmCounts counts;
  VmRates rates;
  counts.calls = 1'000'000;  // before the first sample
  rates.sample(counts, kStart);
  counts.calls += 50;
  counts.denied += 5;
  counts.bytes_in += 1000;
  counts.bytes_out += 4000;
  const auto first = rates.of(counts, kStart + seconds(5));
  EXPECT_DOUBLE_EQ(first.calls, 10);
  EXPECT_DOUBLE_EQ(first.denied, 1);
  EXPECT_DOUBLE_EQ(first.bytes, 1000);
  EXPECT_EQ(first.window, seconds(5));
  rates.sample(counts, kStart + seconds(5));
  const auto second = rates.of(counts, kStart + seconds(6));
  EXPECT_EQ(second.window, seconds(6));
  rates.sample(counts, kStart + seconds(10));
  EXPECT_DOUBLE_EQ(rates.of(counts, kStart + seconds(12)).calls, 0) << "it has been quiet since";
}

}  // namespace
}  // namespace hostcall::daemon
