// The administrator's limits of programs at once.
#include "daemon/runner/running.h"

#include <gtest/gtest.h>

#include <vector>

namespace hostcall::daemon {
namespace {

ServiceRecord service_with(const std::string& name, std::uint32_t concurrent, std::uint32_t per_vm) {
  ServiceRecord service;
  service.name = name;
  service.concurrent = concurrent;
  service.concurrent_per_vm = per_vm;
  return service;
}

TEST(Running, EachVmAndEachServiceHasItsLimit) {
  Running running;
  const auto service = service_with("a", 3, 2);
  std::vector<Running::Place> places(4);
  EXPECT_TRUE(running.take(service, "web1", places[0]).ok());
  EXPECT_TRUE(running.take(service, "web1", places[1]).ok());
  const auto refused = running.take(service, "web1", places[2]);
  EXPECT_EQ(refused.code, wire::Code::kResourceExhausted);
  EXPECT_EQ(refused.message,
            "service \"a\" for VM \"web1\" already has 2 programs running, the limit concurrent_per_vm");
  EXPECT_GT(refused.retry_after, Duration::zero());
  EXPECT_TRUE(running.take(service, "web2", places[2]).ok());
  EXPECT_EQ(running.take(service, "web2", places[3]).message,
            "service \"a\" already has 3 programs running, the limit concurrent");
  EXPECT_TRUE(running.take(service_with("b", 1, 1), "web1", places[3]).ok()) << "another service";
  EXPECT_EQ(running.count(), 4U);
  places[0] = {};
  EXPECT_TRUE(running.take(service, "web1", places[0]).ok());
  places.clear();
  EXPECT_EQ(running.count(), 0U);
}

TEST(Running, TheHostHasALimit) {
  Running running;
  const auto service = service_with("a", 100'000, 100'000);
  std::vector<Running::Place> places(kMaxRunning + 1);
  for (std::size_t i = 0; i < kMaxRunning; ++i) ASSERT_TRUE(running.take(service, "web1", places[i]).ok());
  EXPECT_EQ(running.take(service, "web1", places.back()).code, wire::Code::kResourceExhausted);
}

}  // namespace
}  // namespace hostcall::daemon
