// Hello, and the calls that a session refuses.
#include "daemon/calls/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/daemon/calls/session_fixture.h"

namespace hostcall::daemon::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using wire::Shape;

// ---------------------------------------------------------------- Hello

TEST_F(SessionTest, HelloAgreesOnWhatBothUnderstand) {
  const auto peer = rig_.peer("web1");
  const auto reply = peer->hello("boot-1", wire::kFeatureCrc32c);
  EXPECT_EQ(reply.features(), wire::kAllFeatures & ~std::uint64_t{wire::kFeatureCrc32c});
  EXPECT_EQ(reply.vm_name(), "web1");
  EXPECT_EQ(reply.session_id(), 1u);
  EXPECT_EQ(reply.max_message_bytes(), Limits{}.message_bytes);
  EXPECT_EQ(reply.max_streams(), Limits{}.streams);
  EXPECT_EQ(reply.heartbeat_interval_ms(), 10'000u);
  EXPECT_TRUE(ping(*peer, "in the extension").status.ok());
  rig_.server.for_each_session(nullptr, 0, [](const SessionInfo& session) {
    EXPECT_EQ(session.client, "wire-client 1");
    return true;
  });
}

TEST_F(SessionTest, UnknownFeaturesAreLeftOut) {
  const auto peer = rig_.peer("web1");
  v1::HelloRequest request;
  request.set_features(~std::uint64_t{0});
  const auto answer = peer->call("hostcall.v1.Session/Hello", request);
  v1::HelloResponse reply;
  ASSERT_TRUE(reply.ParseFromString(answer.payload));
  EXPECT_EQ(reply.features(), wire::kAllFeatures);
}

TEST_F(SessionTest, HelloComesFirstAndOnce) {
  const auto extended = rig_.peer("web1"), base = rig_.peer("web1");
  extended->hello();
  EXPECT_EQ(extended->call("hostcall.v1.Session/Hello", v1::HelloRequest()).status.code, Code::kFailedPrecondition);
  EXPECT_TRUE(ping(*extended).status.ok()) << "the session goes on";
  EXPECT_TRUE(ping(*base).status.ok());
  EXPECT_EQ(base->call("hostcall.v1.Session/Hello", v1::HelloRequest()).status.code, Code::kFailedPrecondition);
}

TEST_F(SessionTest, ABadHelloIsRefusedAndAnotherMayFollow) {
  const auto peer = rig_.peer("web1");
  v1::HelloRequest request;
  request.set_boot_id(std::string(65, 'b'));
  const auto refused = peer->call("hostcall.v1.Session/Hello", request);
  EXPECT_EQ(refused.status.code, Code::kInvalidArgument);
  EXPECT_THAT(refused.status.message, HasSubstr("65 bytes, at most 64"));
  EXPECT_EQ(peer->finish(peer->start("hostcall.v1.Session/Hello", "\xff\xff")).status.code, Code::kInvalidArgument);
  EXPECT_THAT(rig_.lifetimes.log, testing::IsEmpty());
  peer->hello();
}

TEST_F(SessionTest, AHelloWhoseReplyFindsNoRoomChangesNothing) {
  Charge unread(rig_.vm("web1").quota, Resource::kOutbound);
  ASSERT_TRUE(unread.try_grow(Limits{}.outbound_bytes - 1));
  const auto peer = rig_.peer("web1");
  v1::HelloRequest request;
  request.set_client_name("no room");
  request.set_boot_id("boot-1");
  const auto refused = peer->call("hostcall.v1.Session/Hello", request);
  EXPECT_EQ(refused.status.code, Code::kResourceExhausted);
  EXPECT_THAT(refused.status.message, AllOf(HasSubstr("outbound_bytes"), Not(HasSubstr("was made"))));
  EXPECT_THAT(rig_.lifetimes.log, testing::IsEmpty());
  EXPECT_EQ(rig_.vm("web1").boot_id, "");
  rig_.server.for_each_session(nullptr, 0, [](const SessionInfo& session) {
    EXPECT_EQ(session.client, "");
    return true;
  });
  unread.reset();
  EXPECT_EQ(peer->hello("boot-1").session_id(), 1u) << "still the first call of the connection";
}

TEST_F(SessionTest, HelloIsDecidedByPolicyLikeAnyCall) {
  rig_.access.replace(Policy::parse({{"p.json", R"({"rules": [
    {"vms": ["web1"], "calls": ["hostcall.v1.Session/Hello"], "action": "deny"},
    {"vms": ["*"], "calls": ["*"], "action": "allow"}]})"}}));
  const auto denied = rig_.peer("web1"), allowed = rig_.peer("db1");
  EXPECT_THROW(denied->hello(), std::runtime_error);
  allowed->hello();
}

TEST_F(SessionTest, ANewBootEndsTheSessionsOfTheOneBefore) {
  const auto first = rig_.peer("web1"), second = rig_.peer("web1"), neighbour = rig_.peer("db1");
  first->hello("boot-1");
  second->hello("boot-1");
  neighbour->hello("boot-1");
  EXPECT_THAT(rig_.lifetimes.log, ElementsAre("web1 booted boot-1", "db1 booted boot-1"));
  const auto rebooted = rig_.peer("web1");
  rebooted->hello("boot-2");
  for (auto* old : {first.get(), second.get()}) {
    EXPECT_TRUE(old->wait_for_close());
    EXPECT_EQ(old->goaway_reason(), wire::GoawayReason::kSuperseded);
  }
  EXPECT_TRUE(ping(*rebooted).status.ok());
  EXPECT_TRUE(ping(*neighbour).status.ok()) << "another VM's boot is its own";
  EXPECT_THAT(rig_.lifetimes.log, testing::Contains("web1 booted boot-2"));
}

// The old session is told of the end of each of its calls before Hello is answered.
TEST_F(SessionTest, ANewBootIsAgreedOnWhateverTheOldOneIsTold) {
  auto& quota = rig_.vm("web1").quota;
  const auto old = rig_.peer("web1");
  old->hello("boot-1");
  for (int i = 0; i < 20; ++i) old->start(test::kEchoStream, "", wire::Shape::kBidiStream);
  rig_.settle();
  const auto rebooted = rig_.peer("web1");
  rig_.settle();
  Charge other_output(quota, Resource::kOutbound);
  ASSERT_TRUE(other_output.try_grow(quota.limits().outbound_bytes - 300));
  v1::HelloRequest request;
  request.set_boot_id("boot-2");
  request.set_features(wire::kAllFeatures);
  const auto answer = rebooted->call("hostcall.v1.Session/Hello", request);
  EXPECT_TRUE(answer.status.ok()) << answer.status.message;
  EXPECT_TRUE(old->wait_for_close());
}

// A caller without Hello may be of the new boot: nobody knows.
TEST_F(SessionTest, ANewBootLeavesSessionsAloneThatToldNone) {
  const auto first = rig_.peer("web1"), base = rig_.peer("web1"), silent = rig_.peer("web1");
  first->hello("boot-1");
  EXPECT_TRUE(ping(*base).status.ok());
  silent->hello("");
  const auto rebooted = rig_.peer("web1"), second = rig_.peer("web1");
  second->hello("boot-2");
  rebooted->hello("boot-2");
  EXPECT_TRUE(first->wait_for_close());
  for (auto* one : {base.get(), silent.get(), second.get(), rebooted.get()}) EXPECT_TRUE(ping(*one).status.ok());
}

// Hello without features: the connection stays plain ttrpc, and belongs to its boot.
TEST_F(SessionTest, ABaseClientMayTellItsBootToo) {
  const auto base = rig_.peer("web1");
  v1::HelloRequest request;
  request.set_boot_id("boot-1");
  const auto agreed = base->call("hostcall.v1.Session/Hello", request);
  EXPECT_TRUE(agreed.status.ok());
  EXPECT_TRUE(ping(*base).status.ok());
  EXPECT_THAT(rig_.lifetimes.log, ElementsAre("web1 booted boot-1"));
  rig_.peer("web1")->hello("boot-2");
  EXPECT_TRUE(base->wait_for_close());
}

TEST_F(SessionTest, ARestoredVmIsANewBootToo) {
  const auto first = rig_.peer("web1");
  first->hello("boot-1");
  const auto restored = rig_.peer("web1");
  v1::HelloRequest request;
  request.set_boot_id("boot-1");
  request.set_vm_generation("restored\n");
  EXPECT_TRUE(restored->call("hostcall.v1.Session/Hello", request).status.ok());
  EXPECT_TRUE(first->wait_for_close());
  EXPECT_THAT(rig_.lifetimes.log, testing::Contains("web1 booted boot-1/restored\\x0a"));
}

// ---------------------------------------------------------------- calls that are refused

TEST_F(SessionTest, WhatDoesNotExistIsNamedAndEscaped) {
  const auto peer = rig_.peer("web1");
  const auto answer = peer->call("hostcall.v1.Ho\nst/Info");
  EXPECT_EQ(answer.status.code, Code::kUnimplemented);
  EXPECT_THAT(answer.status.message,
              AllOf(HasSubstr("no such method: hostcall.v1.Ho\\x0ast/Info"), Not(HasSubstr("\n"))));
}

TEST_F(SessionTest, AMethodIsCalledInItsOwnShape) {
  const auto peer = rig_.peer("web1");
  EXPECT_EQ(peer->finish(peer->start(kPing, "", Shape::kClientStream)).status.code, Code::kInvalidArgument);
  const auto unary = peer->finish(peer->start(kSink, ""));
  EXPECT_EQ(unary.status.code, Code::kInvalidArgument);
  EXPECT_THAT(unary.status.message, HasSubstr("takes a stream of requests"));
}

TEST_F(SessionTest, ADeadlineThatHasPassedIsToldAtOnce) {
  const auto peer = rig_.peer("web1");
  const auto late = ping(*peer, "", std::chrono::nanoseconds(-1));
  EXPECT_EQ(late.status.code, Code::kDeadlineExceeded);
  EXPECT_THAT(late.status.message, HasSubstr("had passed before it was sent"));
}

TEST_F(SessionTest, ADeniedCallNamesTheRuleAndIsAudited) {
  rig_.access.replace(Policy::parse({{"p.json", "{\"rules\": [\n{\"vms\": [\"web1\"], \"calls\": [\"" +
                                                    std::string(kPing) + "\"], \"action\": \"deny\"}]}"}}));
  const auto peer = rig_.peer("web1");
  rig_.log();
  const auto denied = ping(*peer);
  EXPECT_EQ(denied.status.code, Code::kPermissionDenied);
  EXPECT_THAT(denied.status.message, HasSubstr("p.json:2"));
  EXPECT_THAT(rig_.log(), HasSubstr(denied.status.message));
  EXPECT_EQ(rig_.stats.calls_denied, 1u);
  EXPECT_EQ(rig_.vm("web1").counts.denied, 1u);
}

TEST_F(SessionTest, ARuleMayHaveItsCallsRecorded) {
  rig_.access.replace(Policy::parse({{"p.json", R"({"rules": [
    {"vms": ["web1"], "calls": ["*"], "action": "allow", "audit": true},
    {"vms": ["*"], "calls": ["*"], "action": "allow"}]})"}}));
  const auto peer = rig_.peer("web1"), other = rig_.peer("db1");
  rig_.log();
  EXPECT_TRUE(ping(*other).status.ok());
  EXPECT_THAT(rig_.log(), Not(HasSubstr("called"))) << "by default only those of Run and Relay are";
  EXPECT_TRUE(ping(*peer).status.ok());
  EXPECT_THAT(rig_.log(), HasSubstr("VM \"web1\" called " + std::string(kPing) + ": OK, after 0 ms"));
}

TEST_F(SessionTest, AResourceIsDecidedBeforeTheMethodRuns) {
  rig_.access.replace(Policy::parse({{"p.json", R"({"rules": [
    {"vms": ["*"], "calls": ["hostcall.v1.Diagnostics/Echo"], "resources": ["open/*"], "action": "allow",
     "rate": 1, "burst": 1}]})"}}));
  const auto peer = rig_.peer("web1");
  v1::EchoRequest request;
  request.set_payload("closed/x");
  EXPECT_EQ(peer->call(kEcho, request).status.code, Code::kPermissionDenied);
  EXPECT_EQ(rig_.stats.calls_denied, 1u);
  request.set_payload("open/x");
  EXPECT_TRUE(peer->call(kEcho, request).status.ok());
  const auto over = peer->call(kEcho, request);
  EXPECT_EQ(over.status.code, Code::kResourceExhausted);
  EXPECT_EQ(over.status.retry_after, seconds(1));
  EXPECT_EQ(sum_of(rig_.stats.limits_hit), 1u);
  rig_.advance(seconds(1));
  EXPECT_TRUE(peer->call(kEcho, request).status.ok()) << "when it says";
}

TEST_F(SessionTest, TheRateOfARuleIsTakenByTheClock) {
  rig_.access.replace(Policy::parse({{"p.json", R"({"rules": [
    {"vms": ["*"], "calls": ["*"], "action": "allow", "rate": 2, "burst": 3}]})"}}));
  const auto peer = rig_.peer("web1");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(ping(*peer).status.ok());
  const auto over = ping(*peer);
  EXPECT_EQ(over.status.code, Code::kResourceExhausted);
  EXPECT_EQ(over.status.retry_after, milliseconds(500));
  rig_.advance(milliseconds(499));
  EXPECT_EQ(ping(*peer).status.code, Code::kResourceExhausted);
  rig_.advance(milliseconds(1));
  EXPECT_TRUE(ping(*peer).status.ok());
}

TEST_F(SessionTest, OnlySoManyCallsAreOpen) {
  const auto peer = rig_.peer("web1"), other = rig_.peer("web1");
  std::vector<std::uint32_t> open;
  for (std::uint64_t i = 0; i < Limits{}.streams; ++i) open.push_back(peer->start(kEchoStream, "", Shape::kBidiStream));
  const auto over = ping(*other);
  EXPECT_EQ(over.status.code, Code::kResourceExhausted) << "the limit is the VM's, not the connection's";
  EXPECT_THAT(over.status.message, HasSubstr("the limit streams (256) is reached"));
  peer->close_send(open.front());
  EXPECT_TRUE(peer->finish(open.front()).status.ok());
  EXPECT_TRUE(ping(*other).status.ok());
  for (std::size_t i = 1; i < open.size(); ++i) peer->close_send(open[i]);
  for (std::size_t i = 1; i < open.size(); ++i) EXPECT_TRUE(peer->finish(open[i]).status.ok());
}

TEST_F(SessionTest, AMessageOverTheLimitEndsItsCallAlone) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto open = peer->start(kEchoStream, "", Shape::kBidiStream);
  const auto large = ping(*peer, std::string(Limits{}.message_bytes + 1, 'l'));
  EXPECT_EQ(large.status.code, Code::kResourceExhausted);
  EXPECT_THAT(large.status.message, HasSubstr("message_bytes (262144)"));
  v1::EchoRequest message;
  message.set_payload(std::string(Limits{}.message_bytes + 1, 'l'));
  peer->send(open, message);
  EXPECT_EQ(peer->finish(open).status.code, Code::kResourceExhausted);
  EXPECT_TRUE(ping(*peer).status.ok());
  EXPECT_EQ(sum_of(rig_.stats.limits_hit), 2u);
}

TEST_F(SessionTest, AReplyThatIsTooLargeForAFrameIsAnError) {
  const auto peer = rig_.peer("web1");
  const auto answer = ping(*peer, "huge");
  EXPECT_EQ(answer.status.code, Code::kResourceExhausted);
  EXPECT_THAT(answer.status.message, HasSubstr("more than a message can hold"));
}

TEST_F(SessionTest, ALimitOfAHandlerIsCountedOnce) {
  const auto peer = rig_.peer("web1");
  EXPECT_EQ(ping(*peer, "limit").status.code, Code::kResourceExhausted);
  EXPECT_EQ(sum_of(rig_.stats.limits_hit), 1u);
  EXPECT_THAT(rig_.log(), HasSubstr("a limit of the handler"));
}

}  // namespace
}  // namespace hostcall::daemon::test
