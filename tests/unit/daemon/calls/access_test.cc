// Access: decisions, rates per VM and rule, and what of them survives a new connection and a new policy.
#include "daemon/calls/access.h"

#include <gtest/gtest.h>

#include "hostcall/v1/session.hostcall.h"

namespace hostcall::daemon {
namespace {

constexpr TimePoint kStart{seconds(1000)};
constexpr char kOnce[] = R"({"vms": ["*"], "calls": ["*"], "action": "allow", "rate": 1})";

Status nothing(const CallContext&, const v1::PingRequest&, v1::PingResponse&) { return {}; }
Status nobody(const CallContext&, const v1::WhoAmIRequest&, v1::WhoAmIResponse&) { return {}; }

Policy policy(const std::string& rules) { return Policy::parse({{"/etc/p.json", R"({"rules": [)" + rules + "]}"}}); }

class AccessTest : public testing::Test {
 protected:
  AccessTest() {
    router_.unary<v1::Session::Ping>(Audience::kGuest, nothing);
    router_.unary<v1::Session::WhoAmI>(Audience::kGuest, nobody);
  }
  static Vm vm(const std::string& name) {
    VmRecord record;
    record.name = name;
    return {record, "test", 1, Limits{}};
  }
  Ask ask(std::string_view resource = {}) {
    return {.method = router_.find("hostcall.v1.Session/Ping"), .resource = resource};
  }
  Status decide(VmAccess access, std::string_view resource = {}, TimePoint now = kStart) {
    const auto asked = ask(resource);
    const auto refusal = access.decide({&asked, 1}, 0, now);
    return refusal ? refusal->status : Status{};
  }
  bool allows(const VmAccess& access, std::string_view resource) {
    std::size_t looked_at = 0;
    return access.allows(ask(resource), looked_at);
  }
  Router router_;
};

TEST_F(AccessTest, ARateIsPerVm) {
  const Access access(policy(R"({"vms": ["*"], "calls": ["*"], "action": "allow", "rate": 1, "burst": 2})"));
  auto web1 = vm("web1"), db1 = vm("db1");
  const auto web = access.of(web1, false), db = access.of(db1, false);
  EXPECT_TRUE(decide(web).ok());
  EXPECT_TRUE(decide(web).ok());
  const auto third = decide(web);
  EXPECT_EQ(third.code, Code::kResourceExhausted);
  EXPECT_EQ(third.retry_after, seconds(1));
  EXPECT_TRUE(decide(db).ok());
  EXPECT_TRUE(decide(web, {}, kStart + seconds(1)).ok());
}

TEST_F(AccessTest, TheResourceDecidesToo) {
  const Access access(
      policy(R"({"vms": ["*"], "calls": ["*"], "resources": ["/self/**"], "action": "allow", "rate": 1})"));
  auto web1 = vm("web1");
  const auto web = access.of(web1, false);
  EXPECT_TRUE(allows(web, "/self/a/b"));
  EXPECT_FALSE(allows(web, "/shared/a"));
  EXPECT_TRUE(decide(web, "/self/a").ok()) << "asking took nothing off the rate";
  EXPECT_EQ(decide(web, "/self/a").code, Code::kResourceExhausted);
  const auto denied = decide(web, "/shared/a");
  EXPECT_EQ(denied.code, Code::kPermissionDenied);
  EXPECT_NE(denied.message.find("/shared/a"), std::string::npos) << denied.message;
}

TEST_F(AccessTest, OnlyTheOperatorSeesTheWholePath) {
  const Access access(policy(R"({"vms": ["*"], "calls": ["*"], "resources": ["/r"], "action": "allow", "rate": 1},
                                {"vms": ["*"], "calls": ["*"], "action": "deny"})"));
  auto web1 = vm("web1");
  auto web = access.of(web1, false);
  for (const auto* resource : {"/denied", "/r", "/r"}) {
    const auto asked = ask(resource);
    const auto refusal = web.decide({&asked, 1}, 0, kStart);
    if (!refusal) continue;
    EXPECT_NE(refusal->status.message.find(" p.json:"), std::string::npos) << refusal->status.message;
    EXPECT_EQ(refusal->status.message.find("/etc"), std::string::npos) << refusal->status.message;
    EXPECT_NE(refusal->record.find(" /etc/p.json:"), std::string::npos) << refusal->record;
  }
}

TEST_F(AccessTest, ANewPolicyDecidesAtOnce) {
  Access access(policy(R"({"vms": ["*"], "calls": ["*"], "action": "allow"})"));
  auto web1 = vm("web1");
  const auto web = access.of(web1, false);
  EXPECT_TRUE(decide(web).ok());
  access.replace(policy(R"({"vms": ["*"], "calls": ["*"], "action": "deny"})"));
  EXPECT_EQ(decide(web).code, Code::kPermissionDenied);
  std::size_t looked_at = 0;
  const auto again = web.decide_again(ask(), looked_at);
  EXPECT_EQ(looked_at, 1U);
  ASSERT_TRUE(again && again->denial && again->denial->rule);
  EXPECT_EQ(again->denial->rule->line, 1U);
}

TEST_F(AccessTest, ANewConnectionGetsNothingBack) {
  const Access access(policy(kOnce));
  auto web1 = vm("web1");
  EXPECT_TRUE(decide(access.of(web1, false)).ok());
  EXPECT_EQ(decide(access.of(web1, false)).code, Code::kResourceExhausted);
  EXPECT_EQ(decide(access.of(web1, true)).code, Code::kResourceExhausted);
}

TEST_F(AccessTest, AReloadKeepsWhatIsUsedOfARuleThatStays) {
  Access access(policy(kOnce));
  auto web1 = vm("web1");
  const auto web = access.of(web1, false);
  EXPECT_TRUE(decide(web).ok());
  access.replace(policy(kOnce));
  EXPECT_EQ(decide(web).code, Code::kResourceExhausted);
  access.replace(policy(R"({"vms": ["db1"], "calls": ["*"], "action": "deny"},)"
                        "\n\n" +
                        std::string(kOnce)));
  EXPECT_EQ(decide(web).code, Code::kResourceExhausted) << "at another place it is the same rule";
  access.replace(Policy::parse({{"/etc/other.json", R"({"rules": [)" + std::string(kOnce) + "]}"}}));
  EXPECT_EQ(decide(web).code, Code::kResourceExhausted) << "and in another file";
}

TEST_F(AccessTest, AChangedRuleBeginsAnew) {
  const std::string rule = R"({"vms": ["*"], "calls": ["*"], "action": "allow", "rate": )";
  for (const auto* other : {"2}", "1, \"burst\": 3}", "1, \"resources\": [\"\\\\/r\", \"/r\"]}"}) {
    Access access(policy(rule + "1, \"resources\": [\"/r\"]}"));
    auto web1 = vm("web1");
    const auto web = access.of(web1, false);
    ASSERT_TRUE(decide(web, "/r").ok());
    access.replace(policy(rule + other));
    EXPECT_TRUE(decide(web, "/r").ok()) << other;
  }
}

TEST_F(AccessTest, ARuleThatGoesTakesItsStateWithIt) {
  Access access(policy(kOnce));
  auto web1 = vm("web1");
  const auto web = access.of(web1, false);
  EXPECT_TRUE(decide(web).ok());
  access.replace(policy(""));
  EXPECT_EQ(decide(web).code, Code::kPermissionDenied);
  access.replace(policy(kOnce));
  EXPECT_TRUE(decide(web).ok());
}

TEST_F(AccessTest, ListsWhatSomeCallMayBeAllowedTo) {
  const Access access(
      policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Session/Ping"], "resources": ["/a/*"], "action": "allow"},
      {"vms": ["*"], "calls": ["hostcall.v1.Session/Ping"], "action": "deny"},
      {"vms": ["*"], "calls": ["hostcall.v1.Session/WhoAmI"], "require": ["privileged-port"], "action": "allow", "rate": 3})"));
  auto web1 = vm("web1");
  v1::ListServicesResponse list;
  EXPECT_EQ(access.of(web1, false).list_allowed(router_, list), 2u) << "one of them is not listed";
  ASSERT_EQ(list.methods_size(), 1);
  EXPECT_EQ(list.methods(0).method(), "hostcall.v1.Session/Ping");
  ASSERT_EQ(list.methods(0).resources_size(), 1);
  EXPECT_EQ(list.methods(0).resources(0), "/a/*");
  list.Clear();
  EXPECT_EQ(access.of(web1, true).list_allowed(router_, list), 2u);
  ASSERT_EQ(list.methods_size(), 2);
  EXPECT_DOUBLE_EQ(list.methods(1).rate_per_second(), 3);
}

TEST_F(AccessTest, WhatAListTakesDoesNotGrowWithThePolicy) {
  std::string rules;
  for (int i = 0; i < 1000; ++i)
    rules += R"({"vms": ["*"], "calls": ["*"], "resources": ["/a)" + std::to_string(i) + R"("], "action": "allow"},)";
  const Access access(policy(rules + R"({"vms": ["*"], "calls": ["*"], "action": "deny"})"));
  auto web1 = vm("web1");
  v1::ListServicesResponse list;
  const auto units = access.of(web1, false).list_allowed(router_, list);
  ASSERT_NE(list.methods_size(), 0);
  EXPECT_GT(units, static_cast<std::size_t>(list.methods_size())) << "rules count, too";
  EXPECT_LE(units, router_.methods().size() * (1 + (kMostListed + 1) / kRulesPerUnit));
  EXPECT_EQ(static_cast<std::size_t>(list.methods(0).resources_size()), kMostListed);
  EXPECT_EQ(list.methods(0).resources(0), "/a0");
}

}  // namespace
}  // namespace hostcall::daemon
