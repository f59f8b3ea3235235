// Loss of connections, heartbeat, Goaway and the end of a Channel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/client/lib/rig.h"

namespace hostcall::test {
namespace {

using client::Channel;
using testing::HasSubstr;
using wire::Code;

// ---------------------------------------------------------------- loss

TEST(ChannelLoss, ASentCallHasAnUnknownOutcome) {
  Rig rig;
  TestCall call("a.B/C");
  rig.begin(call);
  rig.pump();
  ASSERT_NE(rig.host.connection().find("C"), nullptr);
  rig.host.connection().close();
  rig.pump();
  EXPECT_EQ(call.code(), Code::kUnavailable);
  EXPECT_TRUE(call.result.outcome_unknown);
  EXPECT_THAT(call.text(), HasSubstr("had been sent"));
  EXPECT_EQ(rig.host.connections.size(), 1u) << "it must not be repeated";
}

TEST(ChannelLoss, ACallThatWasNeverWrittenIsRepeated) {
  Rig rig(answering_script());
  rig.connect();
  ASSERT_EQ(rig.state(), Channel::State::kReady);
  TestCall call("a.B/C", "again");
  rig.begin(call);
  rig.host.connection().close();  // before the request is sent
  rig.pump();
  rig.advance(milliseconds(50));  // the connection was young: the next one takes its time
  EXPECT_EQ(rig.host.connections.size(), 2u);
  EXPECT_EQ(call.code(), Code::kOk);
  EXPECT_EQ(call.payload(), "reply to again");
}

TEST(ChannelLoss, APartlyWrittenRequestIsRepeatedToo) {
  auto script = answering_script();
  script.agreement.set_max_message_bytes(wire::kMaxDataBytes);
  Rig rig(script);
  rig.connect();
  rig.host.connection().pause_reading = true;
  TestCall call("a.B/C", std::string(3u << 20, 'x'));
  rig.begin(call);
  rig.channel->process(rig.now);  // fills the socket, no more
  rig.host.connection().close();
  rig.advance(milliseconds(50));
  rig.advance(milliseconds(50));
  EXPECT_EQ(rig.host.connections.size(), 2u);
  EXPECT_EQ(call.code(), Code::kOk);
}

TEST(ChannelLoss, AStaleConnectionDoesNotCostTheNextCallItsCertainty) {
  Rig rig(answering_script());
  rig.connect();
  rig.host.connection().close();
  rig.now += seconds(60);
  TestCall call("a.B/C", "fresh");
  rig.begin(call);
  rig.pump();
  EXPECT_EQ(call.code(), Code::kOk);
  EXPECT_EQ(call.call.repeats, 0u) << "it was seen before the call was begun";
  EXPECT_EQ(rig.host.connections.size(), 2u);
}

TEST(ChannelLoss, AnIdleClientDoesNotReconnect) {
  Rig rig(answering_script());
  rig.connect();
  rig.host.connection().close();
  rig.advance(seconds(60));
  EXPECT_EQ(rig.state(), Channel::State::kIdle);
  EXPECT_EQ(rig.host.connections.size(), 1u);
  EXPECT_EQ(rig.channel->next_timeout(), kNever);
}

TEST(ChannelLoss, AHostThatDropsEveryConnectionDoesNotKeepACallForEver) {
  auto script = extended_script();
  script.on_call = [](HostConnection& connection, SeenCall&) { connection.close(); };
  Rig rig(script);
  TestCall call("a.B/C");
  rig.begin(call);
  rig.pump();
  EXPECT_EQ(call.code(), Code::kUnavailable);
  EXPECT_TRUE(call.result.outcome_unknown);
}

// ---------------------------------------------------------------- heartbeat

TEST(ChannelHeartbeat, ASilentHostIsGivenUpAfterThreeIntervalsAndPings) {
  auto script = extended_script();
  script.agreement.set_heartbeat_interval_ms(1'000);
  Rig rig(script);
  TestCall call("a.B/C");
  rig.begin(call, seconds(60));
  rig.pump();
  const auto frames = rig.host.connection().frames();
  rig.host.connection().pause_reading = true;  // the host hangs
  rig.advance(milliseconds(3'400));
  rig.advance(milliseconds(1));
  EXPECT_FALSE(call.ended()) << "the owner had not asked for 3.4 s: pings come first";
  for (int i = 0; i < 30 && !call.ended(); ++i) rig.advance(milliseconds(100));
  EXPECT_EQ(call.code(), Code::kUnavailable);
  EXPECT_TRUE(call.result.outcome_unknown);
  EXPECT_THAT(call.text(), HasSubstr("the host is silent"));
  rig.host.connection().pause_reading = false;
  rig.host.serve();
  EXPECT_EQ(rig.host.connections.front()->frames() - frames, 3u) << "the pings";
}

TEST(ChannelHeartbeat, AHostThatAnswersPingsIsWaitedFor) {
  auto script = extended_script();
  script.agreement.set_heartbeat_interval_ms(1'000);
  Rig rig(script);
  TestCall call("a.B/C");
  rig.begin(call, seconds(60));
  rig.pump();
  for (int i = 0; i < 50; ++i) rig.advance(seconds(1));
  EXPECT_FALSE(call.ended());
  EXPECT_GE(rig.host.connection().frames(), 50u);
  rig.host.connection().respond(*rig.host.connection().find("C"), "late");
  rig.pump();
  EXPECT_EQ(call.payload(), "late");
}

TEST(ChannelHeartbeat, WithoutCallsThereIsNone) {
  auto script = extended_script();
  script.agreement.set_heartbeat_interval_ms(1'000);
  Rig rig(script);
  rig.connect();
  const auto frames = rig.host.connection().frames();
  rig.advance(seconds(60));
  EXPECT_EQ(rig.host.connection().frames(), frames);
  EXPECT_EQ(rig.channel->next_timeout(), kNever);
  EXPECT_EQ(rig.state(), Channel::State::kReady);
}

// ---------------------------------------------------------------- Goaway

TEST(ChannelGoaway, RunningCallsFinishAndNewOnesGoElsewhere) {
  Rig rig;
  TestCall running("a.B/Old");
  rig.begin(running);
  rig.pump();
  rig.host.connection().goaway(1'000, "restarting");
  rig.pump();
  EXPECT_FALSE(running.ended());
  EXPECT_EQ(rig.state(), Channel::State::kIdle);

  TestCall next("a.B/New");
  rig.begin(next);
  rig.pump();
  EXPECT_EQ(rig.host.connections.size(), 1u) << "retry_after has not passed";
  EXPECT_EQ(rig.state(), Channel::State::kBackoff);
  rig.advance(seconds(1));
  ASSERT_EQ(rig.host.connections.size(), 2u);
  rig.host.connections[1]->respond(*rig.host.connections[1]->find("New"), "new");
  rig.host.connections[0]->respond(*rig.host.connections[0]->find("Old"), "old");
  rig.pump();
  EXPECT_EQ(running.payload(), "old");
  EXPECT_EQ(next.payload(), "new");
  EXPECT_EQ(rig.channel->next_timeout(), next.call.spec.deadline) << "nothing is left of the old connection";
}

TEST(ChannelGoaway, CallsBeyondTheLastStreamAreRepeated) {
  Rig rig(answering_script());
  rig.connect();
  rig.host.connection().goaway(0, "bye");
  rig.host.connection().flush();
  TestCall call("a.B/C", "safe");
  rig.begin(call);
  rig.channel->flush(rig.now);  // written: the host has said Goaway before it saw this
  EXPECT_EQ(call.call.state, client::Call::State::kRunning);
  rig.pump();
  rig.advance(milliseconds(50));
  EXPECT_EQ(call.code(), Code::kOk);
  EXPECT_EQ(call.payload(), "reply to safe");
  EXPECT_EQ(call.call.repeats, 1u);
  EXPECT_EQ(rig.host.connections[0]->find("C"), nullptr);
}

TEST(ChannelGoaway, AStreamWithDataOnItsWayIsNotRepeated) {
  Rig rig(answering_script());
  rig.connect();
  rig.host.connection().goaway(0, "bye");
  rig.host.connection().flush();
  TestCall stream("a.B/S", {}, wire::Shape::kBidiStream);
  rig.begin(stream);
  EXPECT_EQ(rig.channel->send(stream.call, std::string_view("data")), wire::SendOutcome::kSent);
  rig.channel->flush(rig.now);
  rig.pump();
  EXPECT_EQ(stream.code(), Code::kUnavailable);
  EXPECT_FALSE(stream.result.outcome_unknown);
  EXPECT_THAT(stream.text(), HasSubstr("the host has not begun it"));
}

TEST(ChannelGoaway, TheEndOfTheDrainLeavesOutcomesUnknown) {
  Rig rig;
  TestCall running("a.B/Old");
  rig.begin(running);
  rig.pump();
  rig.host.connection().goaway(0, "restarting now");
  rig.pump();
  rig.host.connection().close();
  rig.pump();
  EXPECT_EQ(running.code(), Code::kUnavailable);
  EXPECT_TRUE(running.result.outcome_unknown);
  EXPECT_THAT(running.text(), HasSubstr("restarting now"));
}

TEST(ChannelGoaway, AHostThatAlwaysLeavesIsNeitherStormedNorWaitedForWithoutEnd) {
  Rig rig;
  TestCall call("a.B/C");
  rig.begin(call, seconds(60));
  int rounds = 0;
  for (; rounds < 1000 && !call.ended(); ++rounds) {
    rig.channel->process(rig.now);
    rig.host.serve();
    if (rig.host.connection().open()) rig.host.connection().goaway(0, "again");
    rig.host.serve();
    rig.now += milliseconds(10);
  }
  EXPECT_EQ(call.code(), Code::kUnavailable);
  EXPECT_FALSE(call.result.outcome_unknown);
  EXPECT_LT(rig.host.connections.size(), 40u);
  EXPECT_GE(rounds, 490) << "until the budget of 5 s has ended";
}

TEST(ChannelGoaway, StreamIdsThatRunOutAreLikeIt) {
  Rig rig(answering_script(), [](client::ChannelOptions& options) { options.first_stream = 0xFFFFFFF9; });
  for (int i = 0; i < 6; ++i) {
    TestCall call("a.B/C", std::to_string(i));
    rig.begin(call);
    rig.pump();
    EXPECT_EQ(call.payload(), "reply to " + std::to_string(i));
  }
  EXPECT_EQ(rig.host.connections.size(), 3u) << "Hello and two calls on each";
}

TEST(ChannelGoaway, DrainingConnectionsAreBounded) {
  Rig rig;
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 6; ++i) {
    calls.push_back(std::make_unique<TestCall>("a.B/C"));
    rig.begin(*calls.back());
    rig.advance(seconds(1));
    rig.host.connection().goaway(0, "next");
    rig.pump();
  }
  EXPECT_TRUE(calls[0]->ended());
  EXPECT_TRUE(calls[0]->result.outcome_unknown);
  EXPECT_TRUE(calls[1]->ended());
  for (std::size_t i = 2; i < calls.size(); ++i) EXPECT_FALSE(calls[i]->ended()) << i;
}

TEST(ChannelClose, SaysGoawayAndEndsEveryCall) {
  Rig rig;
  TestCall running("a.B/C");
  rig.begin(running);
  rig.pump();
  rig.channel->close(rig.now);
  rig.host.serve();
  EXPECT_EQ(rig.host.connection().goaways, std::vector{wire::GoawayReason::kClient});
  EXPECT_EQ(rig.host.connection().find("C")->cancels, std::vector{Code::kCancelled});
  EXPECT_EQ(running.code(), Code::kCancelled);
  EXPECT_EQ(rig.state(), Channel::State::kClosed);
  TestCall late("a.B/C");
  rig.begin(late);
  EXPECT_EQ(late.code(), Code::kCancelled);
}

}  // namespace
}  // namespace hostcall::test
