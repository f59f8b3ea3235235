#include "daemon/vms/limits_left.h"

#include <gtest/gtest.h>

#include <map>

namespace hostcall::daemon {
namespace {

TEST(LimitsLeft, ShowWhatTheVmHasNotUsed) {
  Vm web({.name = "web1", .cid = 42}, "test", 1, {});
  Charge streams(web.quota, Resource::kStreams);
  ASSERT_TRUE(streams.try_grow(6));
  const auto limits = limits_left(web, {.keys = 10, .bytes = 2000}, TimePoint());
  EXPECT_EQ(limits.size(), all_limits().size());
  const std::map<std::string_view, std::uint64_t> used = {{"streams", 6}, {"store_keys", 10}, {"store_bytes", 2000}};
  for (const auto& limit : limits) {
    const auto at = used.find(limit.info.name);
    EXPECT_EQ(limit.left, limit.limit - (at == used.end() ? 0 : at->second)) << limit.info.name;
  }
}

TEST(LimitsLeft, IsNothingAboveALimitThatWasLowered) {
  Vm web({.name = "web1", .cid = 42}, "test", 1, {});
  const auto limits = limits_left(web, {.keys = 5000, .bytes = std::uint64_t{1} << 40}, TimePoint());
  for (const auto& limit : limits) {
    const bool is_over = limit.info.name == "store_keys" || limit.info.name == "store_bytes";
    EXPECT_EQ(limit.left, is_over ? 0 : limit.limit) << limit.info.name;
  }
}

}  // namespace
}  // namespace hostcall::daemon
