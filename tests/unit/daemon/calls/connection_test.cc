// A connection's deadlines and its end, by a time that the test turns.
#include "daemon/calls/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

#include "hostcall/v1/session.hostcall.h"
#include "tests/support/frames.h"
#include "tests/support/lingering_socket.h"
#include "tests/support/rig.h"
#include "tests/support/test_methods.h"

namespace hostcall::daemon {
namespace {

using test::Rig;
using test::WireClient;
using ::testing::HasSubstr;
using wire::GoawayReason;

constexpr Duration kTick = milliseconds(1);

class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() {
    test::register_test_methods(rig_.router);
    rig_.start();
  }
  // The connection has been closed, with a Goaway if the peer can be told.
  void expect_end(WireClient& peer, GoawayReason reason, const char* text) {
    peer.wait_for_close();
    EXPECT_TRUE(peer.closed());
    ASSERT_TRUE(peer.goaway_text());
    EXPECT_EQ(peer.goaway_reason(), reason);
    EXPECT_THAT(*peer.goaway_text(), HasSubstr(text));
  }
  Rig rig_;
};

TEST_F(ConnectionTest, APeerThatAsksNothingIsGivenFiveSeconds) {
  const auto peer = rig_.peer("web1");
  rig_.settle();
  rig_.advance(rig_.config.timeouts.first_request - kTick);
  EXPECT_FALSE(peer->wait_for_close());
  EXPECT_EQ(rig_.stats.connections_open, 1u);
  rig_.advance(kTick);
  EXPECT_TRUE(peer->wait_for_close());
  rig_.advance(seconds(1));
  EXPECT_EQ(rig_.stats.connections_open, 0u);
}

TEST_F(ConnectionTest, ABegunFrameIsCompleteInTenSeconds) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  peer->send_raw(std::string(1, '\0'));
  rig_.settle();
  rig_.advance(rig_.config.timeouts.frame - kTick, seconds(1));
  EXPECT_EQ(rig_.stats.connections_open, 1u);
  rig_.advance(kTick);
  expect_end(*peer, GoawayReason::kLimit, "a frame was not completed in time");
}

TEST_F(ConnectionTest, ASlowFrameThatCompletesIsFine) {
  const auto peer = rig_.peer("web1");
  const auto ping = hostcall::test::request(1);
  for (const char byte : ping) {
    peer->send_raw(std::string(1, byte));
    rig_.settle();
    rig_.advance(milliseconds(100));
  }
  EXPECT_EQ(rig_.stats.calls, 1u);
  EXPECT_EQ(rig_.stats.connections_open, 1u);
}

TEST_F(ConnectionTest, ASilentPeerIsPingedAndThenGivenUp) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto heartbeat = rig_.config.timeouts.heartbeat;
  const auto before = peer->endpoint().frames_received();
  rig_.advance(heartbeat - kTick, seconds(1));
  rig_.advance(kTick);
  rig_.advance(heartbeat, seconds(1));
  rig_.advance(heartbeat, seconds(1));
  EXPECT_EQ(rig_.stats.connections_open, 1u) << "three Pings are out, none is overdue";
  rig_.advance(heartbeat, seconds(1));
  EXPECT_EQ(rig_.stats.heartbeats_lost, 1u);
  expect_end(*peer, GoawayReason::kIdle, "did not answer three heartbeats");
  EXPECT_EQ(peer->endpoint().frames_received() - before, 4u) << "three Pings and the Goaway";
}

// The daemon was stopped, or its host suspended: the peer had no heartbeat to answer.
TEST_F(ConnectionTest, AHeartbeatCountsFromTheTimeWhenItWasSent) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto heartbeat = rig_.config.timeouts.heartbeat;
  const auto before = peer->endpoint().frames_received();
  rig_.advance(10 * heartbeat, 10 * heartbeat);
  EXPECT_EQ(rig_.stats.connections_open, 1u);
  while (peer->pump(std::chrono::milliseconds(0))) continue;
  EXPECT_EQ(peer->endpoint().frames_received() - before, 1u) << "one Ping, not three at once";
  rig_.settle();
  rig_.advance(10 * heartbeat, 10 * heartbeat);
  EXPECT_EQ(rig_.stats.heartbeats_lost, 0u);
}

// Its answers are here, but nobody has read them yet.
TEST_F(ConnectionTest, APeerWhoseInputWaitsIsNotSilent) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto heartbeat = rig_.config.timeouts.heartbeat;
  for (int i = 0; i < 3; ++i) rig_.advance(heartbeat, seconds(1));
  v1::PingRequest request;
  request.set_payload(std::string(1000, 'p'));
  // So many replies, which it does not read, that the daemon does not read from it either.
  std::string calls;
  for (std::uint32_t i = 0; i < 3000; ++i) calls += test::ping_frame(2 * i + 3, request);
  for (std::size_t sent = 0, stuck = 0; stuck < 2;) {
    const auto bytes = ::send(peer->fd(), calls.data() + sent, calls.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    stuck = bytes > 0 ? 0 : stuck + 1;
    sent += bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
    rig_.settle();
  }
  rig_.advance(seconds(29), seconds(1));
  EXPECT_EQ(rig_.stats.connections_open, 1u);
  EXPECT_EQ(rig_.stats.heartbeats_lost, 0u);
}

TEST_F(ConnectionTest, APeerThatDoesNotReadIsGivenUpAfterThirtySeconds) {
  for (const bool extended : {false, true}) {
    const std::string vm = extended ? "db1" : "web1";  // another record of the same VM would only be counted
    const auto peer = rig_.peer(vm);
    if (extended) peer->hello();
    v1::SourceRequest request;
    request.set_total_bytes(1 << 30);
    const auto call =
        peer->start("hostcall.v1.Diagnostics/Source", request.SerializeAsString(), wire::Shape::kServerStream);
    rig_.settle();
    if (extended) {  // credit, without reading
      peer->send_raw(hostcall::test::frame(wire::FrameType::kWindow, 0, 0, hostcall::test::be32(1 << 30)) +
                     hostcall::test::frame(wire::FrameType::kWindow, call, 0, hostcall::test::be32(1 << 30)));
      rig_.settle();
    }
    EXPECT_GT(rig_.vm(vm).quota.used(Resource::kOutbound), 0u);
    rig_.log();
    rig_.advance(seconds(30) - kTick, seconds(1));
    EXPECT_EQ(rig_.stats.connections_open, 1u);
    rig_.advance(seconds(2), seconds(1));
    EXPECT_EQ(rig_.stats.connections_open, 0u);
    EXPECT_THAT(rig_.log(),
                HasSubstr("VM \"" + vm + "\": connection closed: the peer has not read its replies for 30 s"));
  }
  EXPECT_EQ(rig_.stats.heartbeats_lost, 0u);
}

TEST_F(ConnectionTest, ASlowReaderStays) {
  const auto peer = rig_.peer("web1");
  v1::SourceRequest request;
  request.set_total_bytes(1 << 30);
  peer->start("hostcall.v1.Diagnostics/Source", request.SerializeAsString(), wire::Shape::kServerStream);
  rig_.settle();
  std::vector<char> buffer(600 * 1024);
  for (int i = 0; i < 20; ++i) {
    rig_.advance(seconds(20), seconds(1));
    ASSERT_GT(::recv(peer->fd(), buffer.data(), buffer.size(), MSG_DONTWAIT), 0);
    rig_.settle();
  }
  EXPECT_EQ(rig_.stats.connections_open, 1u);
}

TEST_F(ConnectionTest, EveryLostPeerIsJournalled) {
  const auto& timeouts = rig_.config.timeouts;
  const auto lost = [&](const std::unique_ptr<WireClient>& peer, Duration time) {
    rig_.settle();
    rig_.log();
    rig_.advance(time + kTick, std::max<Duration>(time / 100, seconds(1)));
    EXPECT_TRUE(peer->wait_for_close());
    return rig_.log();
  };
  EXPECT_THAT(lost(rig_.peer("web1"), timeouts.first_request), HasSubstr("no request arrived in time"));
  auto peer = rig_.peer("web1");
  peer->hello();
  EXPECT_THAT(lost(peer, 4 * timeouts.heartbeat), HasSubstr("did not answer three heartbeats"));
  peer = rig_.peer("web1");
  peer->hello();
  peer->send_raw(std::string(1, '\0'));
  EXPECT_THAT(lost(peer, timeouts.frame), HasSubstr("a frame was not completed in time"));
  peer = rig_.peer("web1");
  EXPECT_TRUE(peer->call("hostcall.v1.Session/Ping").status.ok());
  EXPECT_THAT(lost(peer, timeouts.base_idle), HasSubstr("idle for too long"));
}

TEST_F(ConnectionTest, APeerThatAnswersStays) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  for (int i = 0; i < 10; ++i) {
    rig_.advance(rig_.config.timeouts.heartbeat, seconds(1));
    while (peer->pump()) {
    }
  }
  EXPECT_FALSE(peer->closed());
  EXPECT_EQ(rig_.stats.heartbeats_lost, 0u);
}

TEST_F(ConnectionTest, ABaseConnectionIsClosedAfterItsIdleTimeUnlessACallIsOpen) {
  const auto idle = rig_.peer("web1"), busy = rig_.peer("web1");
  EXPECT_TRUE(idle->call("hostcall.v1.Session/Ping").status.ok());
  busy->start("hostcall.v1.Diagnostics/EchoStream", "", wire::Shape::kBidiStream);
  rig_.settle();
  rig_.advance(rig_.config.timeouts.base_idle - kTick, seconds(100));
  EXPECT_EQ(rig_.stats.connections_open, 2u);
  rig_.advance(kTick);
  EXPECT_TRUE(idle->wait_for_close());
  rig_.advance(seconds(1));
  EXPECT_EQ(rig_.stats.connections_open, 1u);
}

TEST_F(ConnectionTest, AViolationIsToldAndJournalledOnce) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  rig_.log();
  peer->send_raw(hostcall::test::frame(wire::FrameType{0x7F}, 0, 0, ""));
  expect_end(*peer, GoawayReason::kProtocolError, "unknown frame type");
  EXPECT_EQ(rig_.stats.violations, 1u);
  EXPECT_THAT(rig_.log(), HasSubstr("VM \"web1\" broke the protocol, connection closed: unknown frame type"));
}

// Closing them could take as long as the peer likes. Newer kernels refuse them for us.
TEST_F(ConnectionTest, PassedDescriptorsEndTheConnection) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  hostcall::test::LingeringSocket passed(1);
  const auto code = passed.pass(peer->fd(), '\0');
  if (code == EPERM) return;
  ASSERT_EQ(code, 0);
  expect_end(*peer, GoawayReason::kProtocolError, "the peer passes file descriptors, which hostcall does not take");
  EXPECT_EQ(rig_.stats.violations, 1u);
}

TEST_F(ConnectionTest, WhatComesAfterTheEndIsThrownAway) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto bad = hostcall::test::frame(wire::FrameType{0x7F}, 0, 0, "");
  peer->send_raw(bad + bad + hostcall::test::request(3));
  rig_.settle();
  peer->send_raw(hostcall::test::request(5));
  rig_.settle();
  EXPECT_EQ(rig_.stats.calls, 1u) << "Hello";
  rig_.advance(seconds(2));
  EXPECT_EQ(rig_.stats.connections_open, 0u);
}

TEST_F(ConnectionTest, APeerThatDoesNotCloseIsClosedAfterLingering) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  EXPECT_TRUE(peer->call("hostcall.v1.Session/Ping").status.ok());
  rig_.server.for_each_session(nullptr, 0, [&](const SessionInfo& session) {
    EXPECT_EQ(session.calls, 2u);
    return true;
  });
  EXPECT_TRUE(rig_.server.close_session(1, "because"));
  rig_.settle();
  EXPECT_EQ(rig_.stats.connections_open, 1u) << "the last words are on the way";
  rig_.advance(milliseconds(199));
  EXPECT_EQ(rig_.stats.connections_open, 1u);
  rig_.advance(milliseconds(1));
  EXPECT_EQ(rig_.stats.connections_open, 0u);
  expect_end(*peer, GoawayReason::kRemoved, "because");
}

// Input is held back while replies are unread, charged, and goes on where it was.
TEST_F(ConnectionTest, APeerThatDoesNotReadIsNotReadEither) {
  const auto peer = rig_.peer("web1");
  v1::PingRequest request;
  request.set_payload(std::string(1000, 'p'));
  std::string calls;
  constexpr std::uint32_t kCalls = 3000;
  for (std::uint32_t i = 0; i < kCalls; ++i) calls += test::ping_frame(2 * i + 1, request);
  std::size_t sent = 0;
  for (bool moved = true; moved;) {
    const auto bytes = ::send(peer->fd(), calls.data() + sent, calls.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    moved = bytes > 0;
    if (moved) sent += static_cast<std::size_t>(bytes);
    rig_.settle();
  }
  EXPECT_LT(rig_.stats.calls, kCalls) << "the socket and the daemon are full";
  const auto& quota = rig_.vm("web1").quota;
  EXPECT_GT(quota.used(Resource::kOutbound), Limits{}.unread_reply_bytes / 2);
  EXPECT_LT(quota.used(Resource::kOutbound), Limits{}.outbound_bytes);
  std::size_t received = 0;
  std::array<char, 65536> buffer;
  while (received < kCalls * 1000) {
    const auto got = ::recv(peer->fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0) received += static_cast<std::size_t>(got);
    if (sent < calls.size()) {
      const auto bytes = ::send(peer->fd(), calls.data() + sent, calls.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (bytes > 0) sent += static_cast<std::size_t>(bytes);
    }
    rig_.settle();
  }
  EXPECT_EQ(rig_.stats.calls, kCalls);
  while (::recv(peer->fd(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) rig_.settle();
  rig_.settle();
  EXPECT_EQ(quota.used(Resource::kOutbound), 0u);
  EXPECT_EQ(quota.used(Resource::kMemory), 0u);
}

TEST_F(ConnectionTest, AllChargesAreGivenBackAtTheEnd) {
  {
    const auto peer = rig_.peer("web1");
    peer->hello();
    for (int i = 0; i < 10; ++i) peer->start("hostcall.v1.Diagnostics/EchoStream", "", wire::Shape::kBidiStream);
    peer->send_raw(std::string(3, '\0'));
    rig_.settle();
    EXPECT_EQ(rig_.vm("web1").quota.used(Resource::kStreams), 10u);
    EXPECT_EQ(rig_.vm("web1").quota.used(Resource::kConnections), 1u);
  }
  rig_.settle();
  for (const auto resource : {Resource::kConnections, Resource::kStreams, Resource::kMemory, Resource::kOutbound})
    EXPECT_EQ(rig_.vm("web1").quota.used(resource), 0u);
  EXPECT_THAT(rig_.lifetimes.log, testing::Contains("session 1 ended"));
}

}  // namespace
}  // namespace hostcall::daemon
