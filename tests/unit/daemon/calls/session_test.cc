// The calls of a session: Hello, what is said against a call, how each kind of call ends, deadlines, charges.
#include "daemon/calls/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/support/frames.h"
#include "tests/unit/daemon/calls/test_methods.h"
#include "tests/unit/daemon/rig.h"

namespace hostcall::daemon {
namespace {

using hostcall::test::Answer;
using test::Rig;
using test::RigOptions;
using test::WireClient;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using wire::Shape;

constexpr char kPing[] = "hostcall.v1.Session/Ping";
constexpr char kEcho[] = "hostcall.v1.Diagnostics/Echo";
constexpr char kEchoStream[] = "hostcall.v1.Diagnostics/EchoStream";
constexpr char kSource[] = "hostcall.v1.Diagnostics/Source";
constexpr char kSink[] = "hostcall.v1.Diagnostics/Sink";

class SessionTest : public testing::Test {
 protected:
  explicit SessionTest(const RigOptions& options = {}) : rig_(options) {
    test::register_test_methods(rig_.router);
    rig_.start();
  }
  static Answer ping(WireClient& peer, const std::string& payload = {}, std::chrono::nanoseconds timeout = {}) {
    v1::PingRequest request;
    request.set_payload(payload);
    return peer.call(kPing, request, timeout);
  }
  static std::string source_of(std::uint64_t bytes) {
    v1::SourceRequest request;
    request.set_total_bytes(bytes);
    return request.SerializeAsString();
  }
  std::uint64_t used(Resource resource) { return rig_.vm("web1").quota.used(resource); }
  void TearDown() override {
    rig_.settle();
    for (const auto resource : {Resource::kStreams, Resource::kMemory, Resource::kOutbound})
      EXPECT_EQ(used(resource), 0u) << static_cast<int>(resource);
  }

  Rig rig_;
};

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
  rig_.server.for_each_session([](const SessionInfo& session) { EXPECT_EQ(session.client, "wire-client 1"); });
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

// ---------------------------------------------------------------- what is said against a call

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
  EXPECT_EQ(rig_.vm("web1").denied, 1u);
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
  EXPECT_EQ(rig_.stats.calls_limited, 1u);
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
  EXPECT_EQ(rig_.stats.calls_limited, 2u);
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
  EXPECT_EQ(rig_.stats.calls_limited, 1u);
  EXPECT_THAT(rig_.log(), HasSubstr("a limit of the handler"));
}

// ---------------------------------------------------------------- how calls end

TEST_F(SessionTest, AllShapesEndWell) {
  for (const bool is_extended : {false, true}) {
    const auto peer = rig_.peer("web1");
    if (is_extended) peer->hello();
    const auto bidi = peer->start(kEchoStream, "", Shape::kBidiStream);
    v1::EchoRequest message;
    message.set_payload("there and back");
    EXPECT_TRUE(peer->send(bidi, message));
    v1::EchoResponse back;
    EXPECT_TRUE(back.ParseFromString(peer->receive(bidi).value_or("")));
    EXPECT_EQ(back.payload(), "there and back");
    peer->close_send(bidi);
    EXPECT_TRUE(peer->finish(bidi).status.ok());

    const auto source = peer->start(kSource, source_of(64 * 1024), Shape::kServerStream);
    int chunks = 0;
    while (peer->receive(source)) ++chunks;
    EXPECT_EQ(chunks, 4);
    EXPECT_TRUE(peer->finish(source).status.ok());
    EXPECT_EQ(peer->finish(peer->start(kSource, "", Shape::kServerStream)).status.code, Code::kInvalidArgument);

    const auto sink = peer->start(kSink, "", Shape::kClientStream);
    v1::Chunk chunk;
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(peer->send(sink, chunk));
    peer->close_send(sink);
    v1::SinkResponse count;
    EXPECT_TRUE(count.ParseFromString(peer->finish(sink).payload));
    EXPECT_EQ(count.messages(), 3u);
  }
}

TEST_F(SessionTest, AHandlerMayEndItsCallInTheMiddle) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto call = peer->start(kEchoStream, "", Shape::kBidiStream);
  v1::EchoRequest message;
  message.set_payload("fail");
  peer->send(call, message);
  EXPECT_EQ(peer->finish(call).status.code, Code::kAborted);
  EXPECT_TRUE(ping(*peer).status.ok());
}

TEST_F(SessionTest, ACancelledCallIsForgotten) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto call = peer->start(kSource, source_of(std::uint64_t{1} << 40), Shape::kServerStream);
  rig_.settle();
  EXPECT_EQ(used(Resource::kStreams), 1u);
  peer->cancel(call);
  rig_.settle();
  EXPECT_EQ(used(Resource::kStreams), 0u);
  while (peer->pump()) {
  }
}

TEST_F(SessionTest, ManyCallsEndInAnyOrder) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  std::vector<std::uint32_t> open;
  for (int i = 0; i < 100; ++i) open.push_back(peer->start(kEchoStream, "", Shape::kBidiStream));
  for (std::size_t step : {7u, 3u, 1u})
    for (std::size_t i = 0; i < open.size(); i += step) {
      if (open[i] == 0) continue;
      step % 2 == 1 && i % 2 == 0 ? peer->cancel(open[i]) : peer->close_send(open[i]);
      open[i] = 0;
      rig_.settle();
    }
  while (peer->pump()) {
  }
  EXPECT_EQ(used(Resource::kStreams), 0u);
}

TEST_F(SessionTest, AnOpenCallEndsAtItsDeadline) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto call = peer->start(kEchoStream, "", Shape::kBidiStream, milliseconds(300));
  rig_.settle();
  rig_.advance(milliseconds(299), milliseconds(1));
  EXPECT_EQ(rig_.stats.calls_timed_out, 0u);
  rig_.advance(milliseconds(1));
  const auto answer = peer->finish(call);
  EXPECT_EQ(answer.status.code, Code::kDeadlineExceeded);
  EXPECT_THAT(answer.status.message,
              HasSubstr(std::string(kEchoStream) + " did not finish before the call's deadline"));
  EXPECT_EQ(rig_.stats.calls_timed_out, 1u);
}

TEST_F(SessionTest, NoDeadlineIsLongerThanTheLongest) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto named = peer->start(kEchoStream, "", Shape::kBidiStream, std::chrono::hours(1'000'000));
  const auto unnamed = peer->start(kEchoStream, "", Shape::kBidiStream);
  rig_.settle();
  const auto keep_alive = [&](Duration time) {
    for (; time > Duration::zero(); time -= seconds(10)) {
      rig_.advance(seconds(10), seconds(10));
      while (peer->pump()) {
      }
    }
  };
  keep_alive(rig_.config.timeouts.call_max - seconds(10));
  EXPECT_EQ(used(Resource::kStreams), 2u);
  keep_alive(seconds(10));
  for (const auto call : {named, unnamed}) EXPECT_EQ(peer->finish(call).status.code, Code::kDeadlineExceeded);
}

TEST_F(SessionTest, AStreamWaitsForItsReader) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto call = peer->start(kSource, source_of(8 * 1024 * 1024), Shape::kServerStream);
  rig_.settle();
  EXPECT_LE(used(Resource::kOutbound), Limits{}.outbound_bytes);
  std::uint64_t chunks = 0;
  while (peer->receive(call)) ++chunks;
  EXPECT_EQ(chunks, 512u);
  EXPECT_TRUE(peer->finish(call).status.ok());
}

TEST_F(SessionTest, AClientsGoawayEndsTheSessionWithItsLastCall) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto call = peer->start(kEchoStream, "", Shape::kBidiStream);
  peer->endpoint().send_goaway(wire::GoawayReason::kClient, 0, "done");
  peer->pump();
  EXPECT_EQ(rig_.stats.connections_open, 1u);
  peer->close_send(call);
  EXPECT_TRUE(peer->finish(call).status.ok());
  EXPECT_TRUE(peer->wait_for_close());
}

TEST_F(SessionTest, EndingASessionEndsItsCallsWithAReason) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto call = peer->start(kEchoStream, "", Shape::kBidiStream);
  rig_.settle();
  EXPECT_TRUE(rig_.server.close_session(1, "an administrator closed the session"));
  const auto answer = peer->finish(call);
  EXPECT_EQ(answer.status.code, Code::kUnavailable);
  EXPECT_EQ(answer.status.message, "an administrator closed the session");
  EXPECT_TRUE(peer->wait_for_close());
}

class TightSessionTest : public SessionTest {
 protected:
  TightSessionTest() : SessionTest({.limits = tight()}) {}
  static Limits tight() {
    Limits limits;
    limits.outbound_bytes = 64 * 1024;
    limits.unread_reply_bytes = 32 * 1024;
    return limits;
  }
};

// The VM's other connection has used up what may wait to be sent.
TEST_F(TightSessionTest, RepliesThatNobodyReadsAreBounded) {
  const auto stuck = rig_.peer("web1");
  std::string calls;
  v1::PingRequest request;
  request.set_payload(std::string(8 * 1024, 'p'));
  for (std::uint32_t i = 0; i < 200; ++i) calls += test::ping_frame(2 * i + 1, request);
  std::string_view left = calls;
  for (int idle = 0; idle < 3 && !left.empty();) {
    const auto sent = ::send(stuck->fd(), left.data(), left.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) left.remove_prefix(static_cast<std::size_t>(sent));
    idle = sent > 0 ? 0 : idle + 1;
    rig_.settle();
  }
  EXPECT_GT(used(Resource::kOutbound), 0u);
  EXPECT_LE(used(Resource::kOutbound), tight().outbound_bytes);
  stuck->discard_until_closed();
}

}  // namespace
}  // namespace hostcall::daemon
