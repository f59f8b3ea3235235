// The numbers below a run of pings.
#include "client/hostcall/ping_statistics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace hostcall::cli::guest {
namespace {

using namespace std::chrono_literals;

PingStatistics of(std::initializer_list<nanoseconds> times, int lost = 0) {
  PingStatistics statistics;
  for (const auto time : times) statistics.sent(), statistics.received(time);
  for (int i = 0; i < lost; ++i) statistics.sent();
  return statistics;
}

TEST(PingStatistics, PercentilesAreNearestRank) {
  PingStatistics statistics;
  for (int i = 200; i >= 1; --i) statistics.sent(), statistics.received(std::chrono::microseconds(i));
  EXPECT_EQ(statistics.percentile(50), 100us);
  EXPECT_EQ(statistics.percentile(99), 198us);
  EXPECT_EQ(statistics.percentile(100), 200us);
  EXPECT_EQ(statistics.percentile(0), 1us);
}

TEST(PingStatistics, OneReplyIsEveryPercentile) {
  const auto statistics = of({7us});
  EXPECT_EQ(statistics.percentile(50), 7us);
  EXPECT_EQ(statistics.percentile(99), 7us);
}

TEST(PingStatistics, TextSumsUp) {
  EXPECT_EQ(of({3ms, 1ms, 2ms}, 1).to_text("vmhost"),
            "\n--- vmhost ping statistics ---\n"
            "4 transmitted, 3 received, 25% loss\n"
            "rtt min/median/p99/max = 1.000/2.000/3.000/3.000 ms\n");
}

TEST(PingStatistics, WithoutRepliesThereAreNoTimes) {
  EXPECT_EQ(of({}, 2).to_text("vmhost"),
            "\n--- vmhost ping statistics ---\n"
            "2 transmitted, 0 received, 100% loss\n");
  EXPECT_EQ(of({}).to_text("vmhost"),
            "\n--- vmhost ping statistics ---\n"
            "0 transmitted, 0 received, 0% loss\n");
}

TEST(PingStatistics, JsonHasTheSameNumbers) {
  const auto json = nlohmann::json::parse(of({3ms, 1ms}, 2).to_json("web1", "vmhost"));
  EXPECT_EQ(json, nlohmann::json({{"vm", "web1"},
                                  {"host", "vmhost"},
                                  {"transmitted", 4},
                                  {"received", 2},
                                  {"lossPercent", 50.0},
                                  {"minMs", 1.0},
                                  {"medianMs", 1.0},
                                  {"p99Ms", 3.0},
                                  {"maxMs", 3.0}}));
  EXPECT_TRUE(nlohmann::json::parse(of({}, 1).to_json("web1", "vmhost"))["minMs"].is_null());
}

}  // namespace
}  // namespace hostcall::cli::guest
