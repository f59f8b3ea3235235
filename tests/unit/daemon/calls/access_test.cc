// Access: cached decisions, rates per VM and rule, and that a new policy makes all of it void.
#include "daemon/calls/access.h"

#include <gtest/gtest.h>

#include <map>

#include "hostcall/v1/session.hostcall.h"

namespace hostcall::daemon {
namespace {

constexpr TimePoint kStart{seconds(1000)};

Status nothing(const CallContext&, const v1::PingRequest&, v1::PingResponse&) { return {}; }
Status nobody(const CallContext&, const v1::WhoAmIRequest&, v1::WhoAmIResponse&) { return {}; }

Policy policy(const std::string& rules) { return Policy::parse({{"p.json", R"({"rules": [)" + rules + "]}"}}); }

class AccessTest : public testing::Test {
 protected:
  AccessTest() {
    router_.unary<v1::Session::Ping>(Audience::kGuest, nothing);
    router_.unary<v1::Session::WhoAmI>(Audience::kGuest, nobody);
  }
  VmRef vm(const std::string& name) {
    VmRecord record;
    record.name = name;
    return std::make_shared<Vm>(record, "test", 1, Limits{});
  }
  const Method& ping() { return *router_.find("hostcall.v1.Session/Ping"); }
  Router router_;
};

TEST_F(AccessTest, ARateIsPerVm) {
  Access access(policy(R"({"vms": ["*"], "calls": ["*"], "action": "allow", "rate": 1, "burst": 2})"));
  const auto web = access.of(vm("web1")), db = access.of(vm("db1"));
  EXPECT_TRUE(web->decide(ping(), {}, false, kStart).status.ok());
  EXPECT_TRUE(web->decide(ping(), {}, false, kStart).status.ok());
  const auto third = web->decide(ping(), {}, false, kStart);
  EXPECT_EQ(third.status.code, Code::kResourceExhausted);
  EXPECT_EQ(third.status.retry_after, seconds(1));
  EXPECT_TRUE(db->decide(ping(), {}, false, kStart).status.ok());
  EXPECT_TRUE(web->decide(ping(), {}, false, kStart + seconds(1)).status.ok());
}

TEST_F(AccessTest, TheResourceDecidesToo) {
  Access access(policy(R"({"vms": ["*"], "calls": ["*"], "resources": ["/self/**"], "action": "allow", "rate": 1})"));
  const auto web = access.of(vm("web1"));
  EXPECT_TRUE(web->allows(ping(), "/self/a/b", false));
  EXPECT_FALSE(web->allows(ping(), "/shared/a", false));
  EXPECT_TRUE(web->decide(ping(), "/self/a", false, kStart).status.ok()) << "asking took nothing off the rate";
  EXPECT_EQ(web->decide(ping(), "/self/a", false, kStart).status.code, Code::kResourceExhausted);
  const auto denied = web->decide(ping(), "/shared/a", false, kStart).status;
  EXPECT_EQ(denied.code, Code::kPermissionDenied);
  EXPECT_NE(denied.message.find("/shared/a"), std::string::npos) << denied.message;
}

TEST_F(AccessTest, ANewPolicyVoidsWhatWasCached) {
  Access access(policy(R"({"vms": ["*"], "calls": ["*"], "action": "allow"})"));
  const auto web = access.of(vm("web1"));
  EXPECT_TRUE(web->decide(ping(), {}, false, kStart).status.ok());
  access.replace(policy(R"({"vms": ["*"], "calls": ["*"], "action": "deny"})"));
  const auto denied = web->decide(ping(), {}, false, kStart);
  EXPECT_EQ(denied.status.code, Code::kPermissionDenied);
  ASSERT_NE(denied.verdict.rule, nullptr);
  EXPECT_EQ(denied.verdict.rule->line, 1U);
}

TEST_F(AccessTest, SessionsOfAVmShareItsPart) {
  Access access(policy(""));
  const auto web = vm("web1");
  const auto first = access.of(web);
  EXPECT_EQ(access.of(web), first);
  EXPECT_NE(access.of(vm("db1")), first);
}

TEST_F(AccessTest, ListsWhatSomeCallMayBeAllowedTo) {
  Access access(
      policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Session/Ping"], "resources": ["/a/*"], "action": "allow"},
      {"vms": ["*"], "calls": ["hostcall.v1.Session/Ping"], "action": "deny"},
      {"vms": ["*"], "calls": ["hostcall.v1.Session/WhoAmI"], "require": ["privileged-port"], "action": "allow", "rate": 3})"));
  const auto web = access.of(vm("web1"));
  v1::ListServicesResponse list;
  web->list_allowed(router_, false, list);
  ASSERT_EQ(list.methods_size(), 1);
  EXPECT_EQ(list.methods(0).method(), "hostcall.v1.Session/Ping");
  ASSERT_EQ(list.methods(0).resources_size(), 1);
  EXPECT_EQ(list.methods(0).resources(0), "/a/*");
  list.Clear();
  web->list_allowed(router_, true, list);
  ASSERT_EQ(list.methods_size(), 2);
  EXPECT_DOUBLE_EQ(list.methods(1).rate_per_second(), 3);
}

}  // namespace
}  // namespace hostcall::daemon
