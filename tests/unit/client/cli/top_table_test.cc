// What `hostcallctl top` makes of two lists of VMs: rates, quantiles, order and columns.
#include "client/hostcallctl/top_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace hostcall::cli::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr TimePoint kStart{seconds(1000)};

v1::VmState vm(const std::string& name, std::uint64_t calls, std::uint64_t registration = 1) {
  v1::VmState state;
  state.mutable_record()->set_name(name);
  state.set_registration(registration);
  state.set_connections(1);
  state.set_calls(calls);
  return state;
}

void update(TopTable& table, TimePoint now, const std::vector<v1::VmState>& vms) {
  table.begin(now);
  for (const auto& vm : vms) table.take(vm);
  table.finish();
}

std::vector<std::string> names(const TopTable& table) {
  std::vector<std::string> names;
  for (const auto& row : table.rows()) names.push_back(row.name);
  return names;
}

TEST(TopTableTest, TheFirstTableHasTheRatesOfTheDaemonAndTheNextItsOwn) {
  auto web = vm("web1", 1000);
  web.set_calls_per_second(7);
  web.set_bytes_in(500);
  TopTable table;
  update(table, kStart, {web});
  EXPECT_DOUBLE_EQ(table.rows()[0].calls, 7);
  web.set_calls(1020);
  web.set_bytes_in(1500);
  web.set_bytes_out(1000);
  web.set_denied(4);
  update(table, kStart + seconds(2), {web});
  EXPECT_DOUBLE_EQ(table.rows()[0].calls, 10);
  EXPECT_DOUBLE_EQ(table.rows()[0].bytes, 1000);
  EXPECT_DOUBLE_EQ(table.rows()[0].denied, 2);
}

TEST(TopTableTest, AVmThatIsRegisteredAgainBeginsAnew) {
  TopTable table;
  update(table, kStart, {vm("web1", 1000)});
  auto again = vm("web1", 3, 2);
  again.set_calls_per_second(1.5);
  update(table, kStart + seconds(2), {again});
  EXPECT_DOUBLE_EQ(table.rows()[0].calls, 1.5);
  update(table, kStart + seconds(4), {});
  EXPECT_TRUE(table.rows().empty());
}

v1::DurationBuckets buckets(const std::vector<std::uint64_t>& counts) {
  v1::DurationBuckets made;
  for (const auto bound : {10'000, 1'000'000, 100'000'000}) made.add_bounds_nano(static_cast<std::uint64_t>(bound));
  for (const auto count : counts) made.add_counts(count);
  return made;
}

TEST(TopTableTest, QuantilesAreBoundsOfBuckets) {
  EXPECT_EQ(quantile_of({}, 0.5), std::nullopt);
  EXPECT_EQ(quantile_of(buckets({0, 0, 0, 0}), 0.5), std::nullopt);
  EXPECT_EQ(quantile_of(buckets({50, 49, 1, 0}), 0.5), nanoseconds(10'000));
  EXPECT_EQ(quantile_of(buckets({50, 49, 1, 0}), 0.99), nanoseconds(1'000'000));
  EXPECT_EQ(quantile_of(buckets({0, 0, 0, 5}), 0.5), std::nullopt) << "longer than the last bound";
}

TEST(TopTableTest, QuantilesAreThoseSinceTheTableBefore) {
  auto web = vm("web1", 1);
  *web.mutable_latency() = buckets({1000, 0, 0, 0});
  TopTable table;
  update(table, kStart, {web});
  EXPECT_EQ(table.rows()[0].p99, nanoseconds(10'000));
  *web.mutable_latency() = buckets({1000, 0, 5, 0});
  update(table, kStart + seconds(1), {web});
  EXPECT_EQ(table.rows()[0].p50, nanoseconds(100'000'000));
  update(table, kStart + seconds(2), {web});
  EXPECT_EQ(table.rows()[0].p50, std::nullopt) << "no calls";
}

TEST(TopTableTest, SortsAndFilters) {
  auto a = vm("a1", 0), b = vm("b1", 0), c = vm("c1", 0);
  a.set_calls_per_second(1);
  b.set_calls_per_second(3);
  c.set_calls_per_second(2);
  c.set_denied_per_second(1);
  c.set_connections(0);
  b.mutable_record()->add_tags("prod");
  TopTable table;
  update(table, kStart, {a, b, c});
  EXPECT_THAT(names(table), ElementsAre("b1", "c1", "a1"));
  table.sort = *TopTable::sort_of("name");
  EXPECT_THAT(names(table), ElementsAre("a1", "b1", "c1"));
  table.sort = *TopTable::sort_of_key('d');
  EXPECT_THAT(names(table), ElementsAre("c1", "a1", "b1"));
  table.only_connected = true;
  EXPECT_THAT(names(table), ElementsAre("a1", "b1"));
  table.filter = "pro";
  EXPECT_THAT(names(table), ElementsAre("b1"));
  EXPECT_EQ(TopTable::sort_of("nonsense"), std::nullopt);
  EXPECT_EQ(TopTable::sort_of_key('x'), std::nullopt);
}

TEST(TopTableTest, ALongNameIsCutAndTheRowsAreBounded) {
  auto web = vm(std::string(64, 'w'), 0);
  web.set_nearest_limit("store_write_burst");
  web.set_nearest_used(0.999);
  web.set_calls_per_second(123'456);
  web.set_denied_per_second(99'999);
  web.set_bytes_per_second(1e12);
  web.set_memory_bytes(16 * 1024 * 1024 - 1);
  web.set_connections(16);
  *web.mutable_latency() = buckets({1, 0, 1, 0});
  TopTable table;
  update(table, kStart, {web, vm("db1", 0)});
  std::istringstream lines(table.to_text());
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 120u) << line;
  EXPECT_THAT(table.to_text(), HasSubstr("store_write_burst 100%"));
  EXPECT_THAT(table.to_text(1), testing::Not(HasSubstr("db1")));
  EXPECT_THAT(table.summary(), HasSubstr("2 VMs, 2 connected; 123k calls/s, 100k denied/s, 1000G bytes/s"));
}

TEST(TopTableTest, JsonHasWholeNamesAndNumbers) {
  auto web = vm("web1", 0);
  web.set_calls_per_second(1.5);
  TopTable table;
  update(table, kStart, {web});
  const auto row = nlohmann::json::parse(table.to_json())["vms"][0];
  EXPECT_EQ(row["vm"], "web1");
  EXPECT_EQ(row["state"], "connected");
  EXPECT_EQ(row["callsPerSecond"], 1.5);
  EXPECT_TRUE(row["p99Nano"].is_null());
}

TEST(TopTableTest, RatesTakeFiveColumns) {
  for (const double rate : {0.04, 0.5, 9.94, 9.96, 99.6, 999.4, 999.6, 1234.0, 99'960.0, 999'600.0, 1e9})
    EXPECT_LE(format_rate(rate).size(), 5u) << rate;
  EXPECT_EQ(format_rate(0), "0");
  EXPECT_EQ(format_rate(0.5), "0.5");
  EXPECT_EQ(format_rate(340), "340");
  EXPECT_EQ(format_rate(1234), "1.2k");
  EXPECT_EQ(format_rate(999'600), "1.0M");
  EXPECT_EQ(cut("abcdef", 4), "ab..");
  EXPECT_EQ(cut("abcd", 4), "abcd");
}

}  // namespace
}  // namespace hostcall::cli::host
