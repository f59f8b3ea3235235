#include <gmock/gmock.h>
#include <malloc.h>

#include "tests/support/frames.h"
#include "tests/unit/client/server/server_rig.h"

namespace hostcall::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using wire::Code;
using wire::Shape;

class LimitsTest : public BothProtocols {
 protected:
  void serve_kept() {
    server->serve_later<Echo>([this](const Responder<Echo>& responder, const v1::EchoRequest&) {
      kept.push_back(responder);
      responder.on_cancel([this] { ++cancelled; });
    });
  }
  std::vector<Responder<Echo>> kept;
  int cancelled = 0;
};
INSTANTIATE_TEST_SUITE_P(Both, LimitsTest, testing::Bool(), protocol_name);

TEST_P(LimitsTest, CallsOfAConnection) {
  options.max_calls_per_connection = 2;
  start();
  serve_kept();
  const auto client = caller();
  for (int i = 0; i < 2; ++i) client->start(Echo::kFullName, {});
  const auto answer = client->call(Echo::kFullName);
  EXPECT_EQ(answer.status.code, Code::kResourceExhausted);
  EXPECT_THAT(answer.status.message, HasSubstr("max_calls_per_connection of the service is reached (2)"));
  const auto other = caller();
  other->start(Echo::kFullName, {});
  pump();
  ASSERT_EQ(kept.size(), 3u) << "another connection has room";
  kept.front().finish(v1::EchoResponse());
  EXPECT_EQ(client->call(Echo::kFullName).status.code, Code::kResourceExhausted) << "the handler still has it";
  kept.erase(kept.begin());
  client->start(Echo::kFullName, {});
  pump();
  EXPECT_EQ(kept.size(), 3u);
}

TEST_P(LimitsTest, CallsOfAllConnections) {
  options.max_calls = 2;
  start();
  serve_kept();
  const auto one = caller();
  const auto two = caller();
  one->start(Echo::kFullName, {});
  two->start(Echo::kFullName, {});
  pump();
  const auto answer = one->call(Echo::kFullName);
  EXPECT_EQ(answer.status.code, Code::kResourceExhausted);
  EXPECT_THAT(answer.status.message, HasSubstr("max_calls of the service is reached (2)"));
}

// A call that was cancelled counts until its handler lets go, so that cancelling makes no room for more work.
TEST_P(LimitsTest, CancelledCallsCount) {
  options.max_calls = 4;
  start();
  serve_kept();
  for (int i = 0; i < 4; ++i) {
    const auto client = caller();
    client->start(Echo::kFullName, {});
    pump();
  }
  pump();
  EXPECT_EQ(cancelled, 4);
  const auto client = caller();
  EXPECT_EQ(client->call(Echo::kFullName).status.code, Code::kResourceExhausted);
  kept.clear();
  client->start(Echo::kFullName, {});
  pump();
  EXPECT_EQ(kept.size(), 1u);
}

TEST_P(LimitsTest, Connections) {
  options.max_connections = 2;
  start();
  serve_echo();
  auto one = caller();
  const auto two = caller();
  const auto three = connect();
  const auto answer = three->call(Echo::kFullName);
  EXPECT_EQ(answer.status.code, Code::kResourceExhausted);
  EXPECT_THAT(answer.status.message, HasSubstr("max_connections"));
  EXPECT_TRUE(three->wait_for_close());
  one.reset();
  pump();
  EXPECT_TRUE(caller()->call(Echo::kFullName).status.ok());
}

TEST_P(LimitsTest, BytesOfAMessage) {
  options.max_message_bytes = 10'000;
  start();
  serve_echo();
  const auto client = caller();
  EXPECT_TRUE(client->call(Echo::kFullName, echo_request(std::string(9'000, 'x'))).status.ok());
  const auto answer = client->call(Echo::kFullName, echo_request(std::string(10'000, 'x')));
  EXPECT_EQ(answer.status.code, Code::kResourceExhausted);
  EXPECT_THAT(answer.status.message, HasSubstr("max_message_bytes of the service is reached (10000)"));
  EXPECT_TRUE(client->call(Echo::kFullName).status.ok()) << "the connection goes on";
}

TEST_P(LimitsTest, BytesOfAReplyAndOfASentMessage) {
  start();
  server->serve<Echo>([](const ServerCall&, const v1::EchoRequest&, v1::EchoResponse& response) {
    response.set_payload(std::string(wire::kMaxDataBytes, 'r'));
    return Status{};
  });
  server->serve_stream<Source>([](const ServerStream<Source>& stream, const v1::SourceRequest&) {
    EXPECT_EQ(stream.try_send(chunk(std::string(wire::kMaxDataBytes, 'r'))), Progress::kEnded);
  });
  const auto client = caller();
  EXPECT_EQ(client->call(Echo::kFullName).status.code, Code::kResourceExhausted);
  const auto call = client->start(Source::kFullName, {}, Shape::kServerStream);
  EXPECT_EQ(client->finish(call).status.code, Code::kResourceExhausted);
}

// Bytes of heap in use; 0 with sanitizers.
std::size_t heap_bytes() { return ::mallinfo2().uordblks; }

// A peer that sends requests and never reads: its replies are bounded, and so are the requests that are taken.
TEST_P(LimitsTest, APeerThatNeverReadsIsBounded) {
  options.max_unsent_bytes = 100'000;
  start();
  int served = 0;
  server->serve<Echo>([&](const ServerCall&, const v1::EchoRequest&, v1::EchoResponse& response) {
    ++served;
    response.set_payload(std::string(50'000, 'r'));
    return Status{};
  });
  const auto client = caller();
  const auto first = GetParam() ? 3u : 1u;
  std::string requests;
  for (std::uint32_t i = 0; i < 1000; ++i)
    requests += request_frame(first + 2 * i, {.service = "hostcall.v1.Diagnostics", .method = "Echo"});
  const auto heap = heap_bytes();
  client->send_raw(requests);
  pump();
  EXPECT_LT(heap_bytes(), heap + 1'000'000);
  const int before = served;
  EXPECT_GT(before, 0);
  EXPECT_LT(before, 100) << "5 MB: the socket's buffers and max_unsent_bytes";
  pump();
  EXPECT_EQ(served, before);
  EXPECT_FALSE(server->stopped());
  advance(options.unread_timeout - milliseconds(1));
  EXPECT_TRUE(errors.empty());
  advance(milliseconds(1));
  EXPECT_THAT(errors, ElementsAre("|a connection is closed: the peer has not read its replies in time"));
  advance(seconds(1));
  EXPECT_TRUE(client->discard_until_closed());
}

TEST_P(LimitsTest, AStreamThatNobodyReadsIsBounded) {
  start();
  std::vector<ServerStream<Source>> streams;
  const auto message = chunk(std::string(30'000, 's'));
  server->serve_stream<Source>(
      [&](const ServerStream<Source>& stream, const v1::SourceRequest&) { streams.push_back(stream); });
  const auto client = caller();
  for (int i = 0; i < 20; ++i) client->start(Source::kFullName, {}, Shape::kServerStream);
  pump();
  ASSERT_EQ(streams.size(), 20u);
  const auto heap = heap_bytes();
  for (int round = 0; round < 100; ++round) {
    for (const auto& stream : streams) (void)stream.try_send(message);
    pump();
  }
  for (const auto& stream : streams) EXPECT_EQ(stream.try_send(message), Progress::kWouldBlock);
  EXPECT_LT(heap_bytes(), heap + 1'000'000);
}

// Whoever reads a little in time is not lost.
TEST_P(LimitsTest, APeerThatReadsSlowlyIsKept) {
  start();
  server->serve<Echo>([&](const ServerCall&, const v1::EchoRequest&, v1::EchoResponse& response) {
    response.set_payload(std::string(1'000'000, 'r'));
    return Status{};
  });
  const auto client = caller();
  const auto call = client->start(Echo::kFullName, {});
  for (int i = 0; i < 5; ++i) {
    advance(options.unread_timeout - milliseconds(1));
    (void)client->pump();
    pump();
  }
  EXPECT_TRUE(client->finish(call).status.ok());
}

// Many calls that are answered at once, to a peer that reads nothing of it.
TEST_P(LimitsTest, LateRepliesToAPeerThatDoesNotReadAreBounded) {
  options.max_unsent_bytes = 100'000;
  start();
  serve_kept();
  const auto client = caller();
  std::vector<std::uint32_t> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(client->start(Echo::kFullName, {}));
  pump();
  ASSERT_EQ(kept.size(), 20u);
  v1::EchoResponse reply;
  reply.set_payload(std::string(1'000'000, 'r'));
  for (const auto& responder : kept) responder.finish(reply);
  int answered = 0;
  int refused = 0;
  for (const auto call : calls) {
    const auto answer = client->finish(call);
    ++(answer.status.ok() ? answered : refused);
    if (!answer.status.ok()) {
      EXPECT_THAT(answer.status.message, HasSubstr("max_unsent_bytes"));
    }
  }
  EXPECT_EQ(answered, 4) << "max_unsent_bytes and one message of 4 MiB";
  EXPECT_EQ(refused, 16);
}

TEST_P(LimitsTest, AFrameMustBeCompleteInTime) {
  start();
  serve_echo();
  const auto client = caller();
  ASSERT_TRUE(client->call(Echo::kFullName).status.ok());
  const auto frame = request_frame(99, {.service = "hostcall.v1.Diagnostics", .method = "Echo"}, {}, 0);
  client->send_raw(frame.substr(0, 20));
  pump();
  advance(options.frame_timeout - milliseconds(1));
  EXPECT_TRUE(errors.empty());
  advance(milliseconds(1));
  EXPECT_THAT(errors, ElementsAre("|a connection is closed: a frame was not completed in time"));
  EXPECT_TRUE(client->discard_until_closed());
}

// What waits in the socket when its time is up has come in time.
TEST_P(LimitsTest, AFrameThatHasArrivedIsNotLate) {
  start();
  serve_echo();
  const auto client = caller();
  ASSERT_TRUE(client->call(Echo::kFullName).status.ok());
  const auto frame = request_frame(99, {.service = "hostcall.v1.Diagnostics", .method = "Echo"}, {}, 0);
  client->send_raw(frame.substr(0, 20));
  pump();
  time.advance(options.frame_timeout);
  client->send_raw(frame.substr(20));
  pump();
  EXPECT_TRUE(errors.empty());
}

TEST(ServerTimeTest, AConnectionMustCallInTime) {
  ServerRig rig;
  rig.start();
  const auto silent = rig.connect();
  const auto half = rig.connect();
  rig.pump();
  half->send_raw(std::string("\0\0", 2));
  rig.advance(rig.options.first_byte_timeout);
  EXPECT_THAT(rig.errors, ElementsAre("|a connection is closed: no request arrived in time",
                                      "|a connection is closed: no request arrived in time"));
  EXPECT_TRUE(silent->wait_for_close());
  EXPECT_TRUE(half->discard_until_closed());
}

TEST(ServerTimeTest, AnIdleConnectionIsKept) {
  ServerRig rig;
  rig.start();
  rig.serve_echo();
  const auto client = rig.connect_extended();
  rig.advance(std::chrono::hours(24));
  EXPECT_TRUE(client->call(Echo::kFullName).status.ok());
  EXPECT_EQ(rig.server->due(), TimePoint::max());
}

TEST(ServerPeerTest, AViolationEndsTheConnection) {
  ServerRig rig;
  rig.start();
  std::optional<Responder<Echo>> kept;
  rig.server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest&) { kept = responder; });
  const auto client = rig.connect_extended();
  const auto call = client->start(Echo::kFullName, {});
  rig.pump();
  client->send_raw(frame(wire::FrameType{0x55}, 9, 0, "?"));
  EXPECT_EQ(client->finish(call).status.code, Code::kUnavailable);
  EXPECT_TRUE(client->wait_for_goaway());
  EXPECT_EQ(client->goaway_reason(), wire::GoawayReason::kProtocolError);
  EXPECT_TRUE(client->wait_for_close());
  EXPECT_TRUE(kept->cancelled());
  EXPECT_EQ(rig.errors.size(), 1u);
}

TEST(ServerPeerTest, OtherProtocolsAreClosed) {
  ServerRig rig;
  rig.start();
  const auto client = rig.connect();
  client->send_raw("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(client->wait_for_close());
}

// A peer that dies in the middle of a frame, at each of its bytes.
TEST(ServerPeerTest, MayDieMidFrame) {
  ServerRig rig;
  rig.start();
  rig.serve_echo();
  const auto frame = request_frame(1, {.service = "hostcall.v1.Diagnostics", .method = "Echo"});
  for (std::size_t bytes = 0; bytes < frame.size(); ++bytes) {
    rig.connect()->send_raw(frame.substr(0, bytes));
    rig.pump();
  }
  EXPECT_TRUE(rig.connect()->call(Echo::kFullName).status.ok());
  EXPECT_TRUE(rig.errors.empty());
}

TEST(ServerPeerTest, AClaimedLengthTakesNoMemory) {
  ServerRig rig;
  rig.options.max_memory_bytes = 64 * 1024;
  rig.start();
  rig.serve_echo();
  std::vector<std::unique_ptr<WireClient>> clients;
  for (int i = 0; i < 30; ++i) {
    clients.push_back(rig.connect());
    clients.back()->send_raw(header(1'000'000, 1, wire::FrameType::kRequest) + "x");
    rig.pump();
  }
  EXPECT_TRUE(rig.connect()->call(Echo::kFullName).status.ok());
}

TEST(ServerPeerTest, AClientsGoawayEndsTheConnectionWithItsLastCall) {
  ServerRig rig;
  rig.start();
  std::optional<Responder<Echo>> kept;
  rig.server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest&) { kept = responder; });
  const auto client = rig.connect_extended();
  const auto call = client->start(Echo::kFullName, {});
  client->endpoint().send_goaway(wire::GoawayReason::kClient, 0, "done");
  (void)client->pump();
  ASSERT_TRUE(kept);
  EXPECT_FALSE(client->closed());
  kept->finish(v1::EchoResponse());
  EXPECT_TRUE(client->finish(call).status.ok());
  EXPECT_TRUE(client->wait_for_close());
}

}  // namespace
}  // namespace hostcall::test
