// How the calls of a session end: each shape, deadlines, cancellation, the end of the session.
#include "daemon/calls/open_call.h"
#include "daemon/calls/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/support/frames.h"
#include "tests/unit/daemon/calls/session_fixture.h"

namespace hostcall::daemon::test {
namespace {

using hostcall::test::request_frame;
using ::testing::HasSubstr;
using wire::Shape;

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
  EXPECT_THAT(answer.status.message, HasSubstr(std::string(kEchoStream) + " did not finish before the deadline"));
  EXPECT_EQ(rig_.stats.calls_timed_out, 1u);
}

TEST_F(SessionTest, NoDeadlineIsLongerThanTheLongestButAStreamedReplyMayHaveNone) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto named = peer->start(kEchoStream, "", Shape::kBidiStream, std::chrono::hours(1'000'000));
  const auto unnamed = peer->start(kEchoStream, "", Shape::kBidiStream);
  const auto upload = peer->start(kSink, "", Shape::kClientStream);
  rig_.settle();
  const auto keep_alive = [&](Duration time) {
    for (; time > Duration::zero(); time -= seconds(10)) {
      rig_.advance(seconds(10), seconds(10));
      while (peer->pump()) {
      }
    }
  };
  keep_alive(rig_.config.timeouts.call_max - seconds(10));
  EXPECT_EQ(used(Resource::kStreams), 3u);
  keep_alive(seconds(10));
  for (const auto call : {named, upload}) EXPECT_EQ(peer->finish(call).status.code, Code::kDeadlineExceeded);
  keep_alive(3 * rig_.config.timeouts.call_max);
  EXPECT_EQ(used(Resource::kStreams), 1u) << "a streamed reply without a deadline lasts";
  peer->close_send(unnamed);
  EXPECT_TRUE(peer->finish(unnamed).status.ok());
}

// As stock ttrpc clients may send it.
TEST_F(SessionTest, AMessageThatComesWithTheRequestIsTheFirstOfItsStream) {
  v1::EchoRequest first, second;
  first.set_payload("first");
  second.set_payload("second");
  for (const bool extended : {false, true}) {
    const auto peer = rig_.peer("web1");
    if (extended) peer->hello();
    const auto call = peer->start(kEchoStream, first.SerializeAsString(), Shape::kBidiStream);
    ASSERT_TRUE(peer->send(call, second));
    for (const auto* text : {"first", "second"}) {
      v1::EchoResponse response;
      ASSERT_TRUE(response.ParseFromString(peer->receive(call).value_or("\xff")));
      EXPECT_EQ(response.payload(), text);
    }
    peer->close_send(call);
    EXPECT_TRUE(peer->finish(call).status.ok());
    const auto sink = peer->start(kSink, "12345", Shape::kClientStream);
    peer->close_send(sink);
    v1::SinkResponse counted;
    ASSERT_TRUE(counted.ParseFromString(peer->finish(sink).payload));
    EXPECT_EQ(counted.messages(), 1u);
  }
}

// It used no credit, so none comes back for it.
TEST_F(SessionTest, AMessageThatComesWithTheRequestGivesNoCredit) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const std::string large(200 * 1024, 's');
  const auto frames = peer->endpoint().frames_received();
  for (int i = 0; i < 20; ++i) peer->start(kSink, large, Shape::kClientStream);
  rig_.settle();
  while (peer->pump(std::chrono::milliseconds(0))) continue;
  EXPECT_EQ(peer->endpoint().frames_received(), frames);
}

TEST_F(SessionTest, AFrameBeyondAllLimitsIsAnsweredBeforeTheConnectionEnds) {
  const auto peer = rig_.peer("web1");
  EXPECT_TRUE(ping(*peer).status.ok());
  const auto call = peer->start(kEchoStream, "", Shape::kBidiStream);
  peer->send_raw(hostcall::test::header(wire::kMaxDataBytes + 1, call, wire::FrameType::kData));
  const auto answer = peer->finish(call);
  EXPECT_EQ(answer.status.code, Code::kResourceExhausted);
  EXPECT_THAT(answer.status.message, HasSubstr("message_bytes"));
  EXPECT_TRUE(peer->wait_for_close());
  EXPECT_EQ(rig_.stats.violations, 1u);
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
  for (std::uint32_t i = 0; i < 200; ++i)
    calls +=
        request_frame(2 * i + 1, {.service = "hostcall.v1.Session", .method = "Ping"}, request.SerializeAsString());
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
}  // namespace hostcall::daemon::test
