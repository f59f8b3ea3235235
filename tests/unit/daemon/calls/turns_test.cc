// A VM's work and its neighbours: how much of it is done before they have their turn.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>

#include "hostcall/v1/session.hostcall.h"
#include "tests/support/frames.h"
#include "tests/support/rig.h"
#include "tests/support/test_methods.h"

namespace hostcall::daemon {
namespace {

using test::Rig;
using test::WireClient;

// As many small calls as fit in one read.
constexpr std::int64_t kCalls = 1700;
// More than a neighbour ever waits for: a phase of input, one of waiting work, and what was begun.
constexpr Units kPatience = 2 * kPhaseUnits + kShareUnits;

class TurnsTest : public testing::Test {
 protected:
  TurnsTest() {
    rig_.router.protocol<v1::Session::Hello>(Audience::kGuest);
    rig_.router.unary<v1::Session::Ping>(
        Audience::kGuest, [this](const CallContext& context, const v1::PingRequest& request,
                                 v1::PingResponse& response) { return ping(context, request, response); });
    rig_.router.handled<v1::Diagnostics::EchoStream>(Audience::kGuest,
                                                     [](const CallContext&, const v1::EchoRequest&, Handler& handler) {
                                                       handler = std::make_unique<test::TestEcho>();
                                                       return Status();
                                                     });
    rig_.start();
    neighbour_ = rig_.peer("db1");
    rig_.settle();
  }

  // web1's calls cost what the test says. At the tenth, the neighbour calls.
  Status ping(const CallContext& context, const v1::PingRequest&, v1::PingResponse& response) {
    if (context.caller.name() == "db1") {
      calls_before_neighbour_ = calls_ - kNeighbourAt;
      bytes_before_neighbour_ = rig_.stats.bytes_in;
      return {};
    }
    if (++calls_ == kNeighbourAt) neighbour_->send_raw(test::ping_frame(1));
    context.spend(cost_);
    on_call_();
    response.set_payload(std::string(reply_bytes_, 'r'));
    return {};
  }
  static std::string calls(std::int64_t count) {
    std::string bytes;
    for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(count); ++i) bytes += test::ping_frame(2 * i + 1);
    return bytes;
  }
  // Sends the same from so many connections of web1, and reads all answers.
  void attack(int connections, const std::string& bytes) {
    std::vector<std::unique_ptr<WireClient>> peers;
    for (int i = 0; i < connections; ++i) peers.push_back(rig_.peer("web1"));
    rig_.settle();
    for (const auto& peer : peers) peer->send_raw(bytes);
    rig_.settle();
    ASSERT_NE(calls_before_neighbour_, kNever) << "the neighbour was not served at all";
    for (bool reading = true; reading;) {
      reading = false;
      for (const auto& peer : peers) {
        char buffer[65536];
        while (::recv(peer->fd(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) reading = true;
      }
      rig_.settle();
    }
    EXPECT_EQ(rig_.vm("web1").quota.used(Resource::kMemory), 0u);
    EXPECT_EQ(rig_.vm("web1").quota.used(Resource::kOutbound), 0u);
  }

  static constexpr std::int64_t kNeighbourAt = 10;
  static constexpr std::int64_t kNever = -1'000'000;
  Rig rig_;
  std::unique_ptr<WireClient> neighbour_;
  Units cost_ = 0;
  std::size_t reply_bytes_ = 0;
  std::function<void()> on_call_ = [] {};
  std::int64_t calls_ = 0;
  std::int64_t calls_before_neighbour_ = kNever;
  std::uint64_t bytes_before_neighbour_ = 0;
};

TEST_F(TurnsTest, ANeighbourDoesNotWaitForAllCallsOfARead) {
  attack(1, calls(kCalls));
  EXPECT_EQ(calls_, kCalls) << "all are answered";
  EXPECT_LE(calls_before_neighbour_, kPatience);
}

TEST_F(TurnsTest, ManyConnectionsOfAVmAreNoBetterThanOne) {
  attack(16, calls(kCalls));
  EXPECT_EQ(calls_, 16 * kCalls);
  EXPECT_LE(calls_before_neighbour_, kPatience);
}

TEST_F(TurnsTest, CallsThatCostMoreAreFewerInATurn) {
  cost_ = 100;
  attack(16, calls(kCalls));
  EXPECT_EQ(calls_, 16 * kCalls);
  EXPECT_LE(calls_before_neighbour_, kPatience / cost_);
}

TEST_F(TurnsTest, RulesThatPolicyLooksAtAreWorkToo) {
  constexpr Units kCost = 100;
  std::string rules;
  for (std::size_t i = 0; i < kCost * kRulesPerUnit; ++i)
    rules += R"({"vms": ["web1"], "calls": ["*"], "resources": ["*x"], "action": "allow"},)";
  rules += R"({"vms": ["*"], "calls": ["*"], "action": "allow"})";
  rig_.access.replace(Policy::parse({{"policy", R"({"rules": [)" + rules + "]}"}}));
  attack(16, calls(100));
  EXPECT_EQ(calls_, 16 * 100);
  EXPECT_LE(calls_before_neighbour_, kPatience / kCost);
}

TEST_F(TurnsTest, ACallThatCostsMoreThanAShareIsAlone) {
  cost_ = 3 * kShareUnits;
  attack(16, calls(100));
  EXPECT_EQ(calls_, 16 * 100);
  EXPECT_LE(calls_before_neighbour_, 4);
}

TEST_F(TurnsTest, LargeRepliesCostMore) {
  reply_bytes_ = 100'000;
  attack(2, calls(200));
  EXPECT_EQ(calls_, 400);
  EXPECT_LE(calls_before_neighbour_, kPatience / (100'000 / 4096));
}

// Calls that cost far more than they say.
TEST_F(TurnsTest, TimeEndsATurnToo) {
  on_call_ = [&] { rig_.time.advance(std::chrono::microseconds(200)); };
  attack(4, calls(500));
  EXPECT_EQ(calls_, 2000);
  EXPECT_LE(calls_before_neighbour_, 100);
}

TEST_F(TurnsTest, MessagesOfAStreamAreWorkToo) {
  std::string bytes = calls(kNeighbourAt) + hostcall::test::frame(wire::FrameType::kRequest, 101, wire::kRemoteOpen,
                                                                  hostcall::test::field(1, "hostcall.v1.Diagnostics") +
                                                                      hostcall::test::field(2, "EchoStream"));
  while (bytes.size() < 60'000) bytes += hostcall::test::data(101, "");
  attack(8, bytes);
  EXPECT_LT(bytes_before_neighbour_, 3 * bytes.size());
}

TEST_F(TurnsTest, FramesThatCostLittleAddUp) {
  std::string bytes = calls(kNeighbourAt);
  while (bytes.size() < 60'000) bytes += hostcall::test::data(1, "", wire::kRemoteClosed | wire::kNoData);
  attack(16, bytes);
  EXPECT_LT(bytes_before_neighbour_, 6 * bytes.size());
}

// They are copied, and the call that would pay for them may never come.
TEST_F(TurnsTest, BytesOfUnfinishedFramesAreWorkToo) {
  constexpr std::uint32_t kBytes = 70'000;  // more than one read
  const auto frame = hostcall::test::header(2 * kBytes, 101, wire::FrameType::kRequest) + std::string(kBytes, 'x');
  std::vector<std::unique_ptr<WireClient>> peers;
  for (int i = 0; i < 64; ++i) peers.push_back(rig_.peer("web1"));
  rig_.settle();
  for (const auto& peer : peers) peer->send_raw(calls(kNeighbourAt) + frame);
  rig_.settle();
  ASSERT_NE(calls_before_neighbour_, kNever) << "the neighbour was not served at all";
  EXPECT_LT(bytes_before_neighbour_, peers.size() / 2 * kBytes);
}

// The VM's memory limit is not its fault when it waits for its turn.
TEST_F(TurnsTest, ACallerThatWaitsForItsTurnIsNotCutOff) {
  auto limits = rig_.vm("web1").quota.limits();
  limits.memory_bytes = limits.message_bytes = 4096;
  rig_.vm("web1").set_limits(limits);
  cost_ = 100;
  attack(4, calls(kCalls));
  EXPECT_EQ(calls_, 4 * kCalls);
}

TEST_F(TurnsTest, AConnectionThatEndsWhileItWaitsIsForgotten) {
  cost_ = 100;
  {
    const auto peer = rig_.peer("web1");
    peer->send_raw(calls(kCalls));
  }
  rig_.settle();
  EXPECT_EQ(rig_.stats.connections_open, 1u) << "the neighbour's";
  EXPECT_EQ(rig_.vm("web1").quota.used(Resource::kConnections), 0u);
  EXPECT_EQ(rig_.vm("web1").quota.used(Resource::kMemory), 0u);
}

// An order to end does not wait.
TEST_F(TurnsTest, AConnectionThatWaitsCanBeEnded) {
  cost_ = 100;
  on_call_ = [&] {
    if (calls_ == 20) {
      EXPECT_TRUE(rig_.server.close_session(2, "enough"));
    }
  };
  const auto peer = rig_.peer("web1");
  peer->send_raw(calls(kCalls));
  rig_.settle();
  EXPECT_EQ(calls_, 20);
  EXPECT_TRUE(peer->discard_until_closed());
}

}  // namespace
}  // namespace hostcall::daemon
