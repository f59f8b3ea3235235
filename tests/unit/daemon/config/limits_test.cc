// The table of limits: names, bounds, defaults, and sets that contradict themselves.
#include "daemon/config/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "daemon/config/json_file.h"
#include "tests/support/refusal.h"
#include "tests/unit/daemon/config_error.h"

namespace hostcall::daemon {
namespace {

using test::error_of;
using ::testing::HasSubstr;

TEST(Limits, EachIsFoundByItsName) {
  const Limits limits;
  std::set<const std::uint64_t*> members;
  for (const auto& limit : all_limits()) {
    EXPECT_EQ(find_limit(limit.name), &limit);
    members.insert(&(limits.*(limit.member)));
  }
  EXPECT_EQ(members.size(), sizeof(Limits) / sizeof(std::uint64_t)) << "each member of Limits is in the table once";
  EXPECT_TRUE(std::ranges::is_sorted(all_limits(), {}, &LimitInfo::name));
}

TEST(Limits, NoOtherNameIsFound) {
  for (const auto* name : {"", "aaa", "connection", "connectionss", "zzz"})
    EXPECT_EQ(find_limit(name), nullptr) << name;
}

TEST(Limits, DefaultsKeepTheBoundsAndDoNotContradict) {
  const Limits defaults;
  for (const auto& limit : all_limits()) {
    EXPECT_GE(defaults.*(limit.member), limit.min) << limit.name;
    EXPECT_LE(defaults.*(limit.member), limit.max) << limit.name;
  }
  EXPECT_EQ(test::refusal_of(check_limits(defaults)), "");
}

TEST(Limits, AreReadByName) {
  const auto values = read_limits(JsonValue::parse("f", R"({"streams": 7, "connections": 3})"));
  const auto limits = with_values({}, values);
  EXPECT_EQ(limits.streams, 7u);
  EXPECT_EQ(limits.connections, 3u);
  EXPECT_EQ(limits.memory_bytes, Limits{}.memory_bytes);
}

TEST(Limits, UnknownOnesAndBoundsAreNamedWithTheirLine) {
  const auto read_error = [](std::string_view text) {
    return error_of([&] { read_limits(JsonValue::parse("f", text)); });
  };
  EXPECT_THAT(read_error("{\n\"stream\": 7}"),
              HasSubstr("f:2: there is no limit \"stream\"; known are connect_burst, "));
  EXPECT_EQ(read_error("{\n\"message_bytes\": 4194305}"),
            "f:2: message_bytes: expected a whole number from 4096 to 4194304, but this is 4194305");
}

TEST(Limits, ValuesFromElsewhereAreCheckedAlike) {
  EXPECT_EQ(test::refusal_of(check_limit_values({{"streams", 7}})), "");
  EXPECT_THAT(test::refusal_of(check_limit_values({{"nonsense", 7}})),
              HasSubstr("there is no limit \"nonsense\"; known are "));
  EXPECT_EQ(test::refusal_of(check_limit_values({{"message_bytes", 4095}})),
            "limit message_bytes is 4095, but must be from 4096 to 4194304");
  EXPECT_EQ(test::refusal_of(check_limit_values({{"message_bytes", 4194305}})),
            "limit message_bytes is 4194305, but must be from 4096 to 4194304");
}

TEST(Limits, ContradictionsAreNamed) {
  EXPECT_THAT(test::refusal_of(check_limits(with_values({}, {{"memory_bytes", 65536}}))),
              HasSubstr("limit message_bytes (262144) is above memory_bytes (65536)"));
  EXPECT_THAT(test::refusal_of(check_limits(with_values({}, {{"outbound_bytes", 65536}}))),
              HasSubstr("limit unread_reply_bytes (131072) is above outbound_bytes (65536)"));
}

}  // namespace
}  // namespace hostcall::daemon
