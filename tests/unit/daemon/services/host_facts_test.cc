// Texts of /proc as kernels write them, whole, cut off and strange.
#include "daemon/services/host_facts.h"

#include <gtest/gtest.h>

namespace hostcall::daemon {
namespace {

TEST(Meminfo, IsInBytes) {
  v1::MetricsResponse metrics;
  parse_meminfo(
      "MemTotal:       24590000 kB\nMemFree:         1000 kB\nMemAvailable:    2000 kB\nSwapTotal:  300 kB\nSwapFree: "
      "100 kB\n",
      metrics);
  EXPECT_EQ(metrics.memory_total_bytes(), 24590000ULL * 1024);
  EXPECT_EQ(metrics.memory_free_bytes(), 1000U * 1024);
  EXPECT_EQ(metrics.memory_available_bytes(), 2000U * 1024);
  EXPECT_EQ(metrics.memory_used_bytes(), (24590000ULL - 1000) * 1024);
  EXPECT_EQ(metrics.swap_used_bytes(), 200U * 1024);
}

TEST(Loadavg, HasThreeFigures) {
  v1::MetricsResponse metrics;
  parse_loadavg("0.52 10.58 3.00 1/123 4567\n", metrics);
  EXPECT_DOUBLE_EQ(metrics.load_1m(), 0.52);
  EXPECT_DOUBLE_EQ(metrics.load_5m(), 10.58);
  EXPECT_DOUBLE_EQ(metrics.load_15m(), 3.0);
}

TEST(Stat, SplitsBusyIdleAndStolen) {
  v1::MetricsResponse metrics;
  parse_stat("cpu  100 20 30 4000 50 6 7 8 9 10\ncpu0 1 1 1 1\n", 100, metrics);
  EXPECT_DOUBLE_EQ(metrics.total_cpu_seconds(), 1.63);
  EXPECT_DOUBLE_EQ(metrics.idle_cpu_seconds(), 40.5);
  EXPECT_DOUBLE_EQ(metrics.steal_cpu_seconds(), 0.08);
}

TEST(Vmstat, IsInBytes) {
  v1::MetricsResponse metrics;
  parse_vmstat("nr_free_pages 1\npgpgin 10\npgpgout 20\npgpgoutclean 5\n", metrics);
  EXPECT_EQ(metrics.paged_in_bytes(), 10U * 1024);
  EXPECT_EQ(metrics.paged_out_bytes(), 20U * 1024);
}

TEST(HostFacts, StayZeroForWhatIsNotThere) {
  v1::MetricsResponse metrics;
  for (const char* text : {"", "\n\n", "MemTotal:", "cpu", "MemTotal: lots kB"}) {
    parse_meminfo(text, metrics);
    parse_loadavg(text, metrics);
    parse_stat(text, 100, metrics);
    parse_vmstat(text, metrics);
  }
  EXPECT_EQ(metrics.ByteSizeLong(), 0U);
}

}  // namespace
}  // namespace hostcall::daemon
