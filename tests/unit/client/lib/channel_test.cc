// Calls and streams of a Channel.
#include "client/lib/channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "tests/unit/client/lib/rig.h"

namespace hostcall::test {
namespace {

using client::Channel;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using wire::Code;
using wire::SendOutcome;
using wire::Shape;

std::vector<std::string> take_all(Rig& rig, TestCall& stream) {
  std::vector<std::string> messages;
  while (!stream.call.inbox.empty()) messages.emplace_back(rig.channel->take(stream.call));
  return messages;
}

Script base_script() {
  auto script = extended_script();
  script.hello = {Code::kUnimplemented, "no", {}};
  return script;
}

// ---------------------------------------------------------------- unary

TEST(ChannelCall, GivesTheHostsErrorAsItIs) {
  auto script = extended_script();
  script.on_call = [](HostConnection& connection, SeenCall& call) {
    connection.respond(call, {Code::kNotFound, "no such key", milliseconds(1500)});
  };
  Rig rig(script);
  TestCall call("a.B/C");
  rig.begin(call);
  rig.pump();
  EXPECT_EQ(call.code(), Code::kNotFound);
  EXPECT_EQ(call.text(), "no such key");
  EXPECT_EQ(call.result.status.retry_after, milliseconds(1500));
  EXPECT_FALSE(call.result.outcome_unknown);
}

TEST(ChannelCall, SendsTheTimeThatIsLeft) {
  Rig rig;
  rig.connect();
  TestCall call("a.B/C"), endless("a.B/D");
  rig.begin(call, milliseconds(1234));
  endless.call.spec.deadline = kNever;
  rig.channel->begin(endless.call, rig.now);
  rig.pump();
  EXPECT_EQ(rig.host.connection().find("C")->timeout_nano, nanoseconds(milliseconds(1234)).count());
  EXPECT_EQ(rig.host.connection().find("D")->timeout_nano, 0);
}

TEST(ChannelCall, TheDeadlineEndsItAndTheHostIsTold) {
  Rig rig;
  TestCall call("a.B/C");
  rig.begin(call, seconds(2));
  rig.pump();
  EXPECT_EQ(rig.channel->next_timeout(), rig.now + seconds(2));
  rig.advance(milliseconds(1999));
  EXPECT_FALSE(call.ended());
  rig.advance(milliseconds(1));
  EXPECT_EQ(call.code(), Code::kDeadlineExceeded);
  EXPECT_TRUE(call.result.outcome_unknown);
  EXPECT_EQ(rig.host.connection().find("C")->cancels, std::vector{Code::kDeadlineExceeded});
  EXPECT_EQ(rig.state(), Channel::State::kReady) << "the connection goes on";
}

TEST(ChannelCall, WhoHasARequestToSendReadsTheNextTime) {
  Rig rig;
  rig.connect();
  TestCall first("a.B/C"), second("a.B/D"), third("a.B/E");
  rig.begin(first);
  rig.pump();
  rig.host.connection().respond(*rig.host.connection().find("C"), "answer");
  rig.host.connection().flush();
  rig.begin(second);
  rig.channel->process(rig.now);
  EXPECT_FALSE(first.ended()) << "only sends";
  rig.host.serve();
  EXPECT_NE(rig.host.connection().find("D"), nullptr);
  rig.begin(third);
  rig.channel->process(rig.now);
  EXPECT_EQ(first.payload(), "answer") << "never puts it off twice";
}

TEST(ChannelCall, AnAnswerThatCameBeforeTheDeadlineIsReadInAnyCase) {
  Rig rig;
  rig.connect();
  TestCall first("a.B/C"), second("a.B/D");
  rig.begin(first, seconds(1));
  rig.pump();
  rig.host.connection().respond(*rig.host.connection().find("C"), "answer");
  rig.host.connection().flush();
  rig.now += seconds(1);
  rig.begin(second);
  rig.channel->process(rig.now);
  EXPECT_EQ(first.payload(), "answer");
}

TEST(ChannelCall, ADeadlineBeforeItWasSentIsCertain) {
  auto script = extended_script();
  script.answer_hello = false;
  Rig rig(script);
  TestCall call("a.B/C");
  rig.begin(call, seconds(1));
  rig.pump();
  rig.advance(seconds(1));
  EXPECT_EQ(call.code(), Code::kDeadlineExceeded);
  EXPECT_FALSE(call.result.outcome_unknown);
  EXPECT_THAT(call.text(), HasSubstr("a.B/C: not sent before the deadline"));
}

TEST(ChannelCall, ADeadlineTellsWhatIsMissing) {
  auto script = extended_script();
  script.on_call = [](HostConnection& connection, SeenCall& call) {
    if (call.method != "S") return;
    EXPECT_EQ(connection.send(call, "one"), wire::SendOutcome::kSent);
  };
  Rig rig(script);
  TestCall call("a.B/C"), stream("a.B/S", "", Shape::kServerStream);
  for (auto* begun : {&call, &stream}) rig.begin(*begun, seconds(1));
  rig.pump();
  EXPECT_THAT(take_all(rig, stream), ElementsAre("one"));
  rig.advance(seconds(1));
  EXPECT_THAT(call.text(), HasSubstr("a.B/C: no reply from unix:"));
  EXPECT_THAT(stream.text(), HasSubstr("a.B/S: the stream from unix:"));
  EXPECT_THAT(stream.text(), HasSubstr(" did not end before the deadline")) << "there was a reply";

  script.answer_hello = false;
  Rig silent(script);
  TestCall connection("");
  connection.call.spec.service = {};
  silent.begin(connection, seconds(1));
  silent.advance(seconds(1));
  EXPECT_THAT(connection.text(), StartsWith("no connection before the deadline: unix:"));
}

TEST(ChannelCall, ALateReplyAfterTheDeadlineIsIgnored) {
  Rig rig(base_script());
  TestCall call("a.B/C"), next("a.B/D");
  rig.begin(call, seconds(1));
  rig.pump();
  rig.advance(seconds(1));
  ASSERT_TRUE(call.ended());
  rig.host.connection().respond(*rig.host.connection().find("C"), "late");
  rig.begin(next);
  rig.pump();
  rig.host.connection().respond(*rig.host.connection().find("D"), "in time");
  rig.pump();
  EXPECT_EQ(next.payload(), "in time");
  EXPECT_EQ(call.payload(), "");
}

TEST(ChannelCall, ManyAtOnceAreAnsweredOutOfOrder) {
  Rig rig;
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 300; ++i) {
    calls.push_back(std::make_unique<TestCall>("a.B/C", std::to_string(i)));
    rig.begin(*calls.back());
  }
  rig.pump();
  auto& seen = rig.host.connection().calls;
  ASSERT_EQ(seen.size(), 300u);
  for (auto it = seen.rbegin(); it != seen.rend(); ++it) rig.host.connection().respond(*it, "r" + it->payload);
  rig.pump();
  for (int i = 0; i < 300; ++i) EXPECT_EQ(calls[static_cast<std::size_t>(i)]->payload(), "r" + std::to_string(i));
}

TEST(ChannelCall, CancellingTellsTheHost) {
  Rig rig;
  TestCall call("a.B/C");
  rig.begin(call);
  rig.pump();
  rig.channel->cancel(call.call);
  rig.pump();
  EXPECT_EQ(call.code(), Code::kCancelled);
  EXPECT_EQ(rig.host.connection().find("C")->cancels, std::vector{Code::kCancelled});
  EXPECT_EQ(call.events, std::vector<unsigned>{client::kClosed});
}

TEST(ChannelCall, ACallThatGoesAwayIsCancelledEvenWhileItWaits) {
  Rig rig;
  {
    TestCall waiting("a.B/C");
    rig.begin(waiting);
  }
  rig.connect();
  {
    TestCall running("a.B/D");
    rig.begin(running);
    rig.pump();
  }
  rig.pump();
  EXPECT_EQ(rig.host.connection().find("C"), nullptr);
  EXPECT_EQ(rig.host.connection().find("D")->cancels, std::vector{Code::kCancelled});
}

TEST(ChannelCall, AMessageOverTheHostsLimitIsNotSent) {
  Rig rig;
  rig.connect();
  TestCall large("a.B/C", std::string(256 * 1024, 'x'));
  rig.begin(large);
  EXPECT_EQ(large.code(), Code::kResourceExhausted);
  EXPECT_THAT(large.text(), HasSubstr("limit of 262144 (message_bytes)"));
  TestCall huge("a.B/C", std::string(wire::kMaxDataBytes, 'x'));
  rig.begin(huge);
  EXPECT_EQ(huge.code(), Code::kResourceExhausted);
  rig.pump();
  EXPECT_EQ(rig.host.connection().calls.size(), 0u);
}

TEST(ChannelCall, UnsentRequestsAreBounded) {
  auto script = extended_script();
  script.on_call = [](HostConnection& connection, SeenCall& call) { connection.respond(call, "ok"); };
  Rig rig(script, [](client::ChannelOptions& options) { options.max_queued_calls = 4; });
  rig.connect();
  rig.host.connection().pause_reading = true;
  std::vector<std::unique_ptr<TestCall>> calls;
  for (int i = 0; i < 40; ++i) {
    calls.push_back(std::make_unique<TestCall>("a.B/C", std::string(200 * 1024, 'x')));
    rig.begin(*calls.back());
  }
  EXPECT_EQ(calls.back()->code(), Code::kResourceExhausted);
  rig.host.connection().pause_reading = false;
  for (int i = 0; i < 5; ++i) rig.pump();
  EXPECT_EQ(calls.front()->code(), Code::kOk);
  EXPECT_EQ(rig.host.connection().calls.size(), static_cast<std::size_t>(std::ranges::count_if(
                                                    calls, [](auto& call) { return call->code() == Code::kOk; })));
}

// ---------------------------------------------------------------- streams

TEST(ChannelStream, ServerStreamGivesItsMessagesThenTheEnd) {
  auto script = extended_script();
  script.on_call = [](HostConnection& connection, SeenCall& call) {
    EXPECT_TRUE(call.closed);
    for (const char* message : {"one", "two", ""}) EXPECT_EQ(connection.send(call, message), wire::SendOutcome::kSent);
    connection.close_stream(call);
  };
  Rig rig(script);
  TestCall stream("a.B/S", "request", Shape::kServerStream);
  rig.begin(stream);
  rig.pump();
  EXPECT_EQ(rig.host.connection().find("S")->payload, "request");
  EXPECT_TRUE(stream.ended());
  EXPECT_THAT(take_all(rig, stream), ElementsAre("one", "two", ""));
  EXPECT_EQ(stream.code(), Code::kOk);
}

TEST(ChannelStream, ClientStreamGetsItsOneReply) {
  auto script = extended_script();
  script.on_closed = [](HostConnection& connection, SeenCall& call) {
    connection.respond(call, std::to_string(call.messages.size()) + " messages");
  };
  Rig rig(script);
  TestCall stream("a.B/S", {}, Shape::kClientStream);
  rig.begin(stream);
  EXPECT_EQ(rig.channel->send(stream.call, std::string_view("early")), SendOutcome::kBlocked);
  rig.pump();
  EXPECT_EQ(stream.events, std::vector<unsigned>{client::kWritable}) << "now it can be sent";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rig.channel->send(stream.call, std::string_view("x")), SendOutcome::kSent);
  rig.channel->close_send(stream.call);
  EXPECT_EQ(rig.channel->send(stream.call, std::string_view("x")), SendOutcome::kEnded);
  rig.pump();
  EXPECT_EQ(stream.code(), Code::kOk);
  EXPECT_EQ(stream.payload(), "3 messages");
}

TEST(ChannelStream, ClosingBeforeTheConnectionStandsIsRemembered) {
  auto script = extended_script();
  script.on_closed = [](HostConnection& connection, SeenCall& call) { connection.respond(call, "none"); };
  Rig rig(script);
  TestCall stream("a.B/S", {}, Shape::kClientStream);
  rig.begin(stream);
  rig.channel->close_send(stream.call);
  rig.pump();
  EXPECT_EQ(stream.payload(), "none");
}

TEST(ChannelStream, BidiEchoAndAnErrorAtTheEnd) {
  auto script = extended_script();
  script.on_message = [](HostConnection& connection, SeenCall& call, std::string_view message) {
    EXPECT_EQ(connection.send(call, message), wire::SendOutcome::kSent);
  };
  script.on_closed = [](HostConnection& connection, SeenCall& call) {
    connection.respond(call, {Code::kAborted, "enough", {}});
  };
  Rig rig(script);
  rig.connect();
  TestCall stream("a.B/S", {}, Shape::kBidiStream);
  rig.begin(stream);
  EXPECT_EQ(rig.channel->send(stream.call, std::string_view("ping")), wire::SendOutcome::kSent);
  rig.pump();
  EXPECT_THAT(take_all(rig, stream), ElementsAre("ping"));
  EXPECT_EQ(rig.channel->send(stream.call, std::string_view("pong")), wire::SendOutcome::kSent);
  rig.channel->close_send(stream.call);
  rig.pump();
  EXPECT_THAT(take_all(rig, stream), ElementsAre("pong")) << "what came before the error is there";
  EXPECT_EQ(stream.code(), Code::kAborted);
  EXPECT_EQ(stream.text(), "enough");
}

TEST(ChannelStream, TheHostsWindowStopsTheSenderAndReopens) {
  Rig rig;
  rig.connect();
  TestCall stream("a.B/S", {}, Shape::kClientStream);
  rig.begin(stream);
  rig.host.connection().pause_reading = true;
  const std::string chunk(16 * 1024, 'c');
  int sent = 0;
  while (rig.channel->send(stream.call, std::string_view(chunk)) == SendOutcome::kSent) ++sent;
  EXPECT_EQ(sent, 4) << "64 KiB window: a message is sent whole while credit is left";
  rig.pump();
  EXPECT_EQ(stream.events, std::vector<unsigned>{client::kWritable}) << "from the beginning of the stream";
  rig.host.connection().pause_reading = false;
  rig.pump();
  EXPECT_EQ(stream.events, (std::vector<unsigned>{client::kWritable, client::kWritable}));
  EXPECT_EQ(rig.channel->send(stream.call, std::string_view(chunk)), SendOutcome::kSent);
}

TEST(ChannelStream, OurWindowStopsTheHostUntilMessagesAreTaken) {
  const std::string chunk(16 * 1024, 'c');
  Rig rig;
  TestCall stream("a.B/S", {}, Shape::kServerStream);
  rig.begin(stream);
  rig.pump();
  auto& host = rig.host.connection();
  auto& call = *host.find("S");
  int sent = 0;
  while (host.send(call, chunk) == SendOutcome::kSent) ++sent;
  EXPECT_EQ(sent, 4);
  rig.pump();
  EXPECT_EQ(host.writable, 0u);
  rig.channel->take(stream.call);
  rig.channel->take(stream.call);
  rig.pump();
  EXPECT_EQ(host.writable, 1u) << "credit has come back";
  EXPECT_EQ(host.send(call, chunk), SendOutcome::kSent);
}

TEST(ChannelStream, CreditOfAnEndedStreamGoesBackToTheConnection) {
  const std::string chunk(60 * 1024, 'c');
  auto script = extended_script();
  script.on_call = [&](HostConnection& connection, SeenCall& call) {
    EXPECT_EQ(connection.send(call, chunk), wire::SendOutcome::kSent);
    connection.close_stream(call);
  };
  Rig rig(script);
  rig.connect();
  // The connection's window is 256 KiB: without credit from untaken messages the fifth would starve.
  for (int i = 0; i < 20; ++i) {
    TestCall stream("a.B/S", {}, Shape::kServerStream);
    rig.begin(stream);
    rig.pump();
    ASSERT_TRUE(stream.ended()) << i;
    if (i % 2 == 0) {
      EXPECT_THAT(take_all(rig, stream), ElementsAre(chunk));
    }
  }
}

TEST(ChannelStream, AWindowFollowsCancelledStreamsToo) {
  const std::string chunk(60 * 1024, 'c');
  auto script = extended_script();
  script.on_call = [&](HostConnection& connection, SeenCall& call) {
    EXPECT_EQ(connection.send(call, chunk), wire::SendOutcome::kSent);
  };
  Rig rig(script);
  rig.connect();
  for (int i = 0; i < 20; ++i) {
    TestCall stream("a.B/S", {}, Shape::kServerStream);
    rig.begin(stream);
    rig.pump();
    ASSERT_FALSE(stream.call.inbox.empty()) << i;
    rig.channel->cancel(stream.call);
  }
}

TEST(ChannelStream, WithoutWindowsReadingPausesAndGoesOn) {
  auto script = base_script();
  Rig rig(script, [](client::ChannelOptions& options) { options.max_unread_bytes = 100 * 1024; });
  TestCall stream("a.B/S", {}, Shape::kServerStream), unary("a.B/U");
  rig.begin(stream);
  rig.begin(unary, seconds(5));
  rig.pump();
  auto& host = rig.host.connection();
  const std::string chunk(10 * 1024, 'c');
  std::size_t sent = 0;
  for (int round = 0; round < 50; ++round) {
    while (sent < 2000 && host.send(*host.find("S"), chunk) == SendOutcome::kSent) ++sent;
    rig.pump();
  }
  EXPECT_LT(stream.call.inbox.cost(), 100u * 1024 + 70 * 1024) << "one read past the bound at most";
  EXPECT_LT(sent, 2000u) << "the socket has pushed back";
  host.respond(*host.find("U"), "behind the stream");
  rig.pump();
  EXPECT_FALSE(unary.ended()) << "the price, as documented";
  std::size_t taken = 0;
  for (int round = 0; round < 500 && !unary.ended(); ++round) {
    taken += take_all(rig, stream).size();
    rig.pump();
  }
  EXPECT_EQ(unary.payload(), "behind the stream");
  EXPECT_EQ(taken + take_all(rig, stream).size(), sent);
}

TEST(ChannelStream, APausedConnectionDoesNotWakeTheLoopAgainAndAgain) {
  Rig rig(base_script(), [](client::ChannelOptions& options) { options.max_unread_bytes = 10 * 1024; });
  const auto readable = [&] {
    pollfd entry{.fd = rig.channel->fd(), .events = POLLIN, .revents = 0};
    return ::poll(&entry, 1, 0) == 1;
  };
  TestCall stream("a.B/S", {}, Shape::kServerStream);
  rig.begin(stream);
  rig.pump();
  EXPECT_FALSE(readable());
  auto& host = rig.host.connection();
  for (int i = 0; i < 11; ++i) EXPECT_EQ(host.send(*host.find("S"), std::string(1024, 'x')), wire::SendOutcome::kSent);
  host.flush();
  EXPECT_TRUE(readable());
  rig.channel->process(rig.now);
  host.close();
  EXPECT_FALSE(readable()) << "more than the bound is unread: not even the end is looked for";
  EXPECT_EQ(take_all(rig, stream).size(), 11u);
  rig.channel->process(rig.now);
  EXPECT_TRUE(readable() || stream.ended());
  rig.channel->process(rig.now);
  EXPECT_EQ(stream.code(), Code::kUnavailable);
}

}  // namespace
}  // namespace hostcall::test
