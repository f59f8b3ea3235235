// Hello, connecting and back-off of a Channel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/unit/client/lib/rig.h"

namespace hostcall::test {
namespace {

using client::Channel;
using testing::HasSubstr;
using wire::Code;

net::Address missing_path() {
  return net::Address::parse("unix:" + (std::filesystem::temp_directory_path() / "hostcall-no-such-socket").string())
      .value();
}

// ---------------------------------------------------------------- Hello

TEST(ChannelHello, AgreesAndKeepsTheSession) {
  Rig rig(answering_script());
  TestCall call("a.B/C", "x");
  rig.begin(call);
  EXPECT_EQ(rig.state(), Channel::State::kHello);
  rig.pump();
  EXPECT_EQ(rig.state(), Channel::State::kReady);
  ASSERT_NE(rig.channel->agreement(), nullptr);
  EXPECT_EQ(rig.channel->agreement()->vm_name, "web1");
  EXPECT_EQ(rig.channel->agreement()->session_id, 7u);
  EXPECT_EQ(rig.channel->agreement()->daemon_epoch, "e1");
  EXPECT_EQ(call.payload(), "reply to x");

  const auto& hello = *rig.host.connection().hello;
  EXPECT_EQ(hello.client_name(), "test");
  EXPECT_EQ(hello.features(), wire::kAllFeatures & ~std::uint64_t{wire::kFeatureCrc32c});
  EXPECT_EQ(hello.boot_id().size(), 36u) << hello.boot_id();
}

TEST(ChannelHello, CrcIsAskedForByOptionOnly) {
  Rig rig(answering_script(), [](client::ChannelOptions& options) { options.crc = true; });
  TestCall call("a.B/C", "x");
  rig.begin(call);
  rig.pump();
  EXPECT_NE(rig.host.connection().hello->features() & wire::kFeatureCrc32c, 0u);
  EXPECT_NE(rig.channel->agreement()->extension.features & wire::kFeatureCrc32c, 0u);
  EXPECT_EQ(call.payload(), "reply to x");
}

TEST(ChannelHello, NothingIsSentBeforeItsAnswer) {
  auto script = answering_script();
  script.answer_hello = false;
  Rig rig(script);
  TestCall call("a.B/C");
  rig.begin(call);
  rig.pump();
  EXPECT_EQ(rig.state(), Channel::State::kHello);
  EXPECT_EQ(rig.host.connection().frames(), 1u);
}

TEST(ChannelHello, APlainServerIsUsedWithoutTheExtension) {
  auto script = answering_script();
  script.hello = {Code::kUnimplemented, "no such service", {}};
  Rig rig(script);
  TestCall call("a.B/C", "y");
  rig.begin(call);
  rig.pump();
  EXPECT_EQ(rig.state(), Channel::State::kReady);
  EXPECT_EQ(rig.channel->agreement()->extension.features, 0u);
  EXPECT_EQ(call.payload(), "reply to y");
}

TEST(ChannelHello, ARefusalEndsWhatWaitsWithTheHostsStatus) {
  auto script = extended_script();
  script.hello = {Code::kPermissionDenied, "CID 7 is not registered: hostcallctl vm add", seconds(2)};
  Rig rig(script);
  TestCall first("a.B/C"), patient("a.B/D");
  patient.call.spec.wait_for_ready = true;
  rig.begin(first);
  rig.begin(patient);
  rig.pump();
  for (auto* call : {&first, &patient}) {
    EXPECT_EQ(call->code(), Code::kPermissionDenied);
    EXPECT_EQ(call->text(), script.hello.message);
    EXPECT_EQ(call->result.status.retry_after, seconds(2));
    EXPECT_FALSE(call->result.outcome_unknown);
  }
  EXPECT_EQ(rig.host.connections.size(), 1u);

  // No tight loop: the next call waits until the host said it may come again.
  TestCall next("a.B/C");
  rig.begin(next);
  rig.pump();
  EXPECT_EQ(rig.state(), Channel::State::kBackoff);
  EXPECT_EQ(rig.host.connections.size(), 1u);
  EXPECT_EQ(rig.channel->next_timeout(), rig.now + seconds(2));
  rig.advance(seconds(2));
  EXPECT_EQ(rig.host.connections.size(), 2u);
  EXPECT_EQ(next.code(), Code::kPermissionDenied);
}

// systemd holds the socket while the daemon drains and starts: as long as 12 s and a little.
TEST(ChannelHello, AHostThatIsJustRestartingIsWaitedFor) {
  Rig rig(answering_script());
  TestCall call("a.B/C", "x"), hasty("a.B/C");
  rig.begin(call);
  rig.begin(hasty, seconds(2));
  for (int i = 0; i < 15; ++i) {
    rig.now += seconds(1);
    rig.channel->process(rig.now);  // nobody accepts
  }
  EXPECT_EQ(rig.state(), Channel::State::kHello);
  EXPECT_FALSE(call.ended());
  EXPECT_EQ(hasty.code(), Code::kDeadlineExceeded);
  rig.pump();
  EXPECT_EQ(call.payload(), "reply to x");
  EXPECT_EQ(rig.host.connections.size(), 1u);
}

TEST(ChannelHello, SilenceIsRetriedUntilTheBudgetEnds) {
  auto script = extended_script();
  script.answer_hello = false;
  Rig rig(script, [](client::ChannelOptions& options) {
    options.hello_timeout = seconds(1);
    options.connect_budget = seconds(5);
  });
  TestCall call("a.B/C");
  rig.begin(call);
  for (int i = 0; i < 100 && !call.ended(); ++i) rig.advance(milliseconds(100));
  EXPECT_EQ(call.code(), Code::kUnavailable);
  EXPECT_THAT(call.text(), HasSubstr("no answer to Hello from " + rig.host.address().to_string() + " within 1000 ms"));
  EXPECT_GE(rig.host.connections.size(), 2u);
  EXPECT_LE(rig.host.connections.size(), 5u);
}

// ---------------------------------------------------------------- attempts

TEST(ChannelConnect, AMissingSocketFailsAtOnceAndSaysWhatToDo) {
  client::ChannelOptions options;
  options.address = missing_path();
  Channel channel(options);
  TestCall call("a.B/C");
  channel.begin(call.call, Rig().now);
  ASSERT_TRUE(call.ended());
  EXPECT_EQ(call.code(), Code::kUnavailable);
  EXPECT_FALSE(call.result.outcome_unknown);
  EXPECT_THAT(call.text(), HasSubstr(options.address.to_string()));
  EXPECT_THAT(call.text(), HasSubstr("No such file or directory"));
  EXPECT_THAT(call.text(), HasSubstr("is hostcalld running"));
  EXPECT_TRUE(call.events.empty()) << "observers are told by process() only";
  channel.process(Rig().now);
  EXPECT_EQ(call.events, std::vector<unsigned>{client::kClosed});
}

TEST(ChannelConnect, ARefusedConnectionFailsAtOnce) {
  Rig rig(answering_script());
  rig.host.stop_listening();
  TestCall call("a.B/C");
  rig.begin(call);
  EXPECT_EQ(call.code(), Code::kUnavailable);
  EXPECT_THAT(call.text(), HasSubstr("Connection refused"));
  // And nothing keeps the next call from succeeding at once.
  rig.host.listen_again();
  TestCall next("a.B/C");
  rig.begin(next);
  rig.pump();
  EXPECT_EQ(next.code(), Code::kOk);
}

TEST(ChannelConnect, APatientCallWaitsForTheHostToStart) {
  Rig rig(answering_script());
  rig.host.stop_listening();
  TestCall patient("a.B/C", "p"), hasty("a.B/D");
  patient.call.spec.wait_for_ready = true;
  rig.begin(patient, seconds(60));
  rig.begin(hasty, seconds(60));
  for (int i = 0; i < 30; ++i) rig.advance(seconds(1));
  EXPECT_FALSE(patient.ended());
  EXPECT_TRUE(hasty.ended());
  EXPECT_EQ(rig.state(), Channel::State::kBackoff);
  rig.host.listen_again();
  rig.advance(seconds(5));
  EXPECT_EQ(patient.payload(), "reply to p");
}

// Lets one attempt fail and returns the pause before the next.
Duration pause_after_failure(Rig& rig) {
  rig.pump();
  EXPECT_EQ(rig.state(), Channel::State::kHello);
  rig.host.connection().close();
  rig.channel->process(rig.now);
  EXPECT_EQ(rig.state(), Channel::State::kBackoff);
  rig.channel->process(rig.now);  // looks at the limits of calls again, as after each change of state
  return rig.channel->next_timeout() - rig.now;
}

TEST(ChannelConnect, PausesGrowToTheCapAndAnAnsweredCallResetsThem) {
  auto script = answering_script();
  script.answer_hello = false;
  Rig rig(script, [](client::ChannelOptions& options) { options.wait_for_ready = true; });
  TestCall call("a.B/C"), next("a.B/C");
  rig.begin(call, std::chrono::hours(1));
  Duration longest{};
  for (int failure = 0; failure < 20; ++failure) {
    const auto pause = pause_after_failure(rig);
    EXPECT_LE(pause, std::min<Duration>(milliseconds(50ll << failure), seconds(5)));
    longest = std::max(longest, pause);
    rig.now += pause;
  }
  EXPECT_GT(longest, seconds(1));
  EXPECT_EQ(rig.host.connections.size(), 20u);
  rig.host.script.answer_hello = true;
  rig.pump();
  EXPECT_EQ(call.code(), Code::kOk);

  rig.host.script.answer_hello = false;
  rig.host.connection().close();
  rig.pump();
  rig.begin(next, std::chrono::hours(1));
  EXPECT_LE(pause_after_failure(rig), milliseconds(50));
}

TEST(ChannelConnect, ACallThatGivesUpCountsTheAttempts) {
  auto script = extended_script();
  script.answer_hello = false;
  for (const auto& [failures, text] : {std::pair{1, "(1 attempt)"}, {2, "(2 attempts)"}}) {
    Rig rig(script);
    TestCall call("a.B/C");
    rig.begin(call);
    for (int i = 0; i < failures; ++i) rig.now += pause_after_failure(rig);
    rig.now += seconds(5);
    rig.channel->process(rig.now);
    EXPECT_EQ(call.code(), Code::kUnavailable);
    EXPECT_THAT(call.text(), HasSubstr(text));
  }
}

TEST(ChannelConnect, QueuedCallsAreBounded) {
  auto script = answering_script();
  script.answer_hello = false;
  Rig rig(script, [](client::ChannelOptions& options) { options.max_queued_calls = 2; });
  TestCall one("a.B/C"), two("a.B/C"), three("a.B/C");
  rig.begin(one);
  rig.begin(two);
  rig.begin(three);
  EXPECT_FALSE(one.ended());
  EXPECT_FALSE(two.ended());
  EXPECT_EQ(three.code(), Code::kResourceExhausted);
  EXPECT_THAT(three.text(), HasSubstr("max_queued_calls"));
}

TEST(ChannelConnect, AForeignProtocolIsNamed) {
  auto script = extended_script();
  script.answer_hello = false;
  Rig rig(script);
  TestCall call("a.B/C");
  rig.begin(call);
  rig.host.serve();
  rig.host.connection().send_raw("HTTP/1.1 400 Bad Request\r\n\r\n");
  rig.channel->process(rig.now);
  EXPECT_EQ(call.code(), Code::kUnavailable);
  EXPECT_THAT(call.text(), HasSubstr("looks like HTTP"));
  EXPECT_FALSE(call.result.outcome_unknown);
}

}  // namespace
}  // namespace hostcall::test
