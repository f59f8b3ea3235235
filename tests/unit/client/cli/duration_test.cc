// Times on the command line.
#include "client/cli/duration.h"

#include <gtest/gtest.h>

namespace hostcall::cli {
namespace {

using namespace std::chrono_literals;

TEST(Duration, TakesTheDocumentedForms) {
  EXPECT_EQ(parse_duration("5"), 5s);
  EXPECT_EQ(parse_duration("5s"), 5s);
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("2m"), 2min);
  EXPECT_EQ(parse_duration("1h"), 1h);
  EXPECT_EQ(parse_duration("0.2"), 200ms);
  EXPECT_EQ(parse_duration("1.5m"), 90s);
}

TEST(Duration, TakesItsBounds) {
  EXPECT_EQ(parse_duration("1ms"), 1ms);
  EXPECT_EQ(parse_duration("720h"), kMaxDuration);
  EXPECT_EQ(parse_duration("721h"), std::nullopt);
  EXPECT_EQ(parse_duration("0.4ms"), std::nullopt);
}

TEST(Duration, RefusesEverythingElse) {
  for (const auto* text :
       {"", "s", "0", "-1", "-5s", "5 s", "5d", "5S", "1e3", "0x10", "inf", "nan", "5ss", " 5", "5s "})
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(Duration, IsShownInTheTwoLargestUnits) {
  EXPECT_EQ(format_duration(0ns), "0ms");
  EXPECT_EQ(format_duration(1ns), "1ms");
  EXPECT_EQ(format_duration(999ms), "999ms");
  EXPECT_EQ(format_duration(1500ms), "1.5s");
  EXPECT_EQ(format_duration(60s), "1m");
  EXPECT_EQ(format_duration(312s), "5m 12s");
  EXPECT_EQ(format_duration(3h + 4min + 50s), "3h 4m");
  EXPECT_EQ(format_duration(51h), "2d 3h");
}

TEST(Duration, IsWrittenExactlyAsItIsTaken) {
  const std::pair<std::chrono::milliseconds, const char*> cases[] = {
      {1ms, "1ms"}, {1500ms, "1500ms"}, {5s, "5s"}, {90s, "90s"}, {10min, "10m"}, {1h, "1h"}, {kMaxDuration, "720h"}};
  for (const auto& [time, text] : cases) {
    EXPECT_EQ(exact_duration(time), text);
    EXPECT_EQ(parse_duration(text), time);
  }
}

TEST(Duration, RoundTripsAreShownInMilliseconds) {
  EXPECT_EQ(format_ms(123456ns), "0.123 ms");
  EXPECT_EQ(format_ms(2s), "2000.000 ms");
}

TEST(Duration, PointsInTimeAreShownInUtc) {
  EXPECT_EQ(format_time(0), "1970-01-01 00:00:00.000 UTC");
  EXPECT_EQ(format_time(1'709'210'096'789'000'000), "2024-02-29 12:34:56.789 UTC");
}

}  // namespace
}  // namespace hostcall::cli
