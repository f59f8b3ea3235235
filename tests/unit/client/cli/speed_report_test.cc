// What `hostcall speedtest` prints.
#include "client/hostcall/speed_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace hostcall::cli::guest {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr std::uint64_t kGiB = 1 << 30;

SpeedReport report() {
  SpeedReport report;
  report.vm = "web1", report.host = "vmhost";
  report.payload_bytes = 64, report.parallel = 16, report.length = 65536;
  for (int i = 1; i <= 100; ++i) report.times.add(nanoseconds(i * 100));
  report.latency = Measured{2s, 100'000};
  report.calls = Measured{2s, 2'345'678};
  report.download = Measured{2s, 3 * kGiB};
  report.upload = Measured{2500ms, 250'000'000};
  return report;
}

TEST(SpeedInterval, IsALineOfIperf) {
  EXPECT_EQ(interval_line(1, 0s, 1s, SpeedUnit::kBytes, 1'288'490'189),
            "[  1]  0.0-1.0 s  1.20 GBytes  10.3 Gbits/sec");
  EXPECT_EQ(interval_line(12, 1s, 2s, SpeedUnit::kCalls, 45'678), "[ 12]  1.0-2.0 s  45678 calls  45.7 Kcalls/sec");
}

TEST(SpeedInterval, UnitsFollowTheNumber) {
  const auto bytes = [](std::uint64_t amount) { return interval_line(1, 0s, 1s, SpeedUnit::kBytes, amount); };
  EXPECT_EQ(bytes(100), "[  1]  0.0-1.0 s  100 Bytes  800 bits/sec");
  EXPECT_EQ(bytes(125), "[  1]  0.0-1.0 s  125 Bytes  1.00 Kbits/sec");
  EXPECT_EQ(bytes(117'500'000), "[  1]  0.0-1.0 s  112 MBytes  940 Mbits/sec");
  EXPECT_EQ(bytes(1'048'575), "[  1]  0.0-1.0 s  1.00 MBytes  8.39 Mbits/sec") << "not 1024 KBytes";
  EXPECT_EQ(bytes(0), "[  1]  0.0-1.0 s  0.00 Bytes  0.00 bits/sec");
}

TEST(SpeedInterval, NoTimeIsNoRate) {
  EXPECT_EQ(interval_line(1, 1s, 1s, SpeedUnit::kCalls, 5), "[  1]  1.0-1.0 s  5 calls  0.00 calls/sec");
}

TEST(SpeedReport, TextSumsUp) {
  EXPECT_EQ(report().to_text(),
            "--- vmhost speedtest ---\n"
            "latency   median 0.005 ms, p99 0.010 ms, 50.0 Kcalls/sec\n"
            "calls     1.17 Mcalls/sec, 16 in flight\n"
            "download  12.9 Gbits/sec, 3.00 GBytes in 2.0 s\n"
            "upload    800 Mbits/sec, 238 MBytes in 2.5 s\n");
}

TEST(SpeedReport, WhatWasNotMeasuredIsNotShown) {
  auto some = report();
  some.download = some.upload = std::nullopt;
  EXPECT_NE(some.to_text().find("download  -\nupload    -\n"), std::string::npos) << some.to_text();
  const auto document = json::parse(some.to_json());
  EXPECT_FALSE(document["latency"].is_null());
  EXPECT_TRUE(document["download"].is_null());
  EXPECT_TRUE(document["upload"].is_null());
  SpeedReport none;
  EXPECT_TRUE(json::parse(none.to_json())["latency"].is_null());
}

TEST(SpeedReport, JsonHasUnitsInItsNames) {
  const auto document = json::parse(report().to_json());
  EXPECT_EQ(document["vm"], "web1");
  EXPECT_EQ(document["host"], "vmhost");
  EXPECT_EQ(document["latency"]["payloadBytes"], 64);
  EXPECT_EQ(document["latency"]["seconds"], 2.0);
  EXPECT_EQ(document["latency"]["calls"], 100'000);
  EXPECT_EQ(document["latency"]["callsPerSecond"], 50'000.0);
  EXPECT_EQ(document["latency"]["minMs"], 0.0001);
  EXPECT_EQ(document["latency"]["maxMs"], 0.01);
  EXPECT_EQ(document["parallel"],
            json({{"inFlight", 16}, {"seconds", 2.0}, {"calls", 2'345'678}, {"callsPerSecond", 1'172'839.0}}));
  EXPECT_EQ(document["download"],
            json({{"chunkBytes", 65536}, {"seconds", 2.0}, {"bytes", 3 * kGiB}, {"bitsPerSecond", 1.5 * kGiB * 8}}));
  EXPECT_EQ(document["upload"]["bitsPerSecond"], 800e6);
}

}  // namespace
}  // namespace hostcall::cli::guest
