// Both roles against each other through a byte pipe: the four shapes of a call, how each ends, and the frames of the
// extension that are not flow control. See endpoint_flow_test, endpoint_receive_test and endpoint_base_test too.
#include "proto/wire/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/base/bounded_text.h"
#include "tests/support/frames.h"
#include "tests/support/wire_peer.h"

namespace hostcall::wire {
namespace {

using namespace std::string_view_literals;
using test::Pair;
using test::Peer;
using test::take_frames;
using test::take_output;
using Log = std::vector<std::string>;
using Role = EndpointOptions::Role;
constexpr RequestFields kCall{.service = "a.B", .method = "C"};
constexpr Extension kExtension{.features = kAllFeatures, .stream_window = 65'536, .connection_window = 262'144};

// Every shape is run with base frames and with the whole extension, in whole and in prime-sized pieces.
struct Setup {
  bool extended;
  std::size_t chunk;
};

class Shapes : public testing::TestWithParam<Setup> {
 protected:
  void SetUp() override {
    if (GetParam().extended) pair.enable(kExtension);
  }
  void pump() { pair.pump(GetParam().chunk); }
  Stream& open(Shape shape, std::string_view payload = {}) { return pair.client.endpoint.open(kCall, payload, shape); }
  void expect_ended() {
    EXPECT_EQ(client.open_streams(), 0u);
    EXPECT_EQ(server.open_streams(), 0u);
    EXPECT_FALSE(client.violation());
    EXPECT_FALSE(server.violation());
  }

  Pair pair;
  Endpoint& client = pair.client.endpoint;
  Endpoint& server = pair.server.endpoint;
};

INSTANTIATE_TEST_SUITE_P(Wire, Shapes,
                         testing::Values(Setup{false, SIZE_MAX}, Setup{false, 1}, Setup{false, 13},
                                         Setup{true, SIZE_MAX}, Setup{true, 1}, Setup{true, 13}),
                         [](const auto& setup) {
                           return std::string(setup.param.extended ? "Extended" : "Base") +
                                  std::to_string(setup.param.chunk);
                         });

TEST_P(Shapes, Unary) {
  pair.server.events.react = [&](std::string_view, Stream* stream) { server.respond(*stream, {}, "answer"sv); };
  open(Shape::kUnary, "question");
  pump();
  EXPECT_EQ(pair.server.events.log, Log{"request 1 a.B/C question"});
  EXPECT_EQ(pair.client.events.log, Log{"response 1 OK answer"});
  expect_ended();
}

TEST_P(Shapes, ClientStream) {
  pair.server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "data") server.consumed(*stream, pair.server.events.log.back().size() - std::strlen("data 1 "));
    if (event == "closed") server.respond(*stream, {}, "sum"sv);
  };
  auto& stream = open(Shape::kClientStream);
  for (const char* message : {"a", "bb", ""})
    EXPECT_EQ(client.send_data(stream, std::string_view(message)), SendOutcome::kSent);
  client.close_send(stream);
  client.close_send(stream);  // once is enough
  EXPECT_EQ(client.send_data(stream, "late"sv), SendOutcome::kEnded);
  pump();
  EXPECT_EQ(pair.server.events.log, (Log{"request 1 a.B/C open", "data 1 a", "data 1 bb", "data 1", "closed 1"}));
  EXPECT_EQ(pair.client.events.log, Log{"response 1 OK sum"});
  expect_ended();
}

TEST_P(Shapes, ServerStream) {
  pair.server.events.react = [&](std::string_view, Stream* stream) {
    for (const char* message : {"x", "yy"})
      EXPECT_EQ(server.send_data(*stream, std::string_view(message)), SendOutcome::kSent);
    server.close_stream(*stream);
  };
  auto& stream = open(Shape::kServerStream, "which");
  EXPECT_EQ(client.send_data(stream, "not in this shape"sv), SendOutcome::kEnded);
  pump();
  EXPECT_EQ(pair.server.events.log, Log{"request 1 a.B/C which"});
  EXPECT_EQ(pair.client.events.log, (Log{"data 1 x", "data 1 yy", "closed 1"}));
  expect_ended();
}

TEST_P(Shapes, BidiStream) {
  pair.server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "data") {
      EXPECT_EQ(server.send_data(*stream, "echo"sv), SendOutcome::kSent);
      server.consumed(*stream, 1);
    }
    if (event == "closed") server.close_stream(*stream);
  };
  auto& stream = open(Shape::kBidiStream);
  pump();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(client.send_data(stream, "m"sv), SendOutcome::kSent);
    pump();
  }
  EXPECT_EQ(pair.client.events.log, (Log{"data 1 echo", "data 1 echo"}));
  client.close_send(stream);
  pump();
  EXPECT_EQ(pair.client.events.log.back(), "closed 1");
  expect_ended();
}

TEST_P(Shapes, AnErrorEndsAnyShapeAtOnce) {
  pair.server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "request") server.respond(*stream, {.code = Code::kPermissionDenied, .message = "no"}, "dropped"sv);
  };
  for (const auto shape : {Shape::kUnary, Shape::kClientStream, Shape::kServerStream, Shape::kBidiStream}) open(shape);
  pump();
  EXPECT_EQ(pair.client.events.log, (Log{"response 1 PERMISSION_DENIED: no", "response 3 PERMISSION_DENIED: no",
                                         "response 5 PERMISSION_DENIED: no", "response 7 PERMISSION_DENIED: no"}));
  expect_ended();
}

TEST_P(Shapes, AnErrorMayFollowStreamedData) {
  pair.server.events.react = [&](std::string_view, Stream* stream) {
    EXPECT_EQ(server.send_data(*stream, "part"sv), SendOutcome::kSent);
    server.respond(*stream, {.code = Code::kDataLoss});
  };
  open(Shape::kServerStream);
  pump();
  EXPECT_EQ(pair.client.events.log, (Log{"data 1 part", "response 1 DATA_LOSS"}));
  expect_ended();
}

TEST(Endpoint, TheLastMessageMayCloseItsSide) {
  Pair pair;
  pair.client.endpoint.open(kCall, {}, Shape::kServerStream);
  EXPECT_TRUE(pair.client.endpoint.receive(test::data(1, "last", kRemoteClosed)));
  EXPECT_EQ(pair.client.events.log, (Log{"data 1 last", "closed 1"}));
  EXPECT_EQ(pair.client.endpoint.open_streams(), 0u);
}

TEST(Endpoint, AnEmptyFrameIsAMessageUnlessItIsMarkedOrCloses) {
  Peer client({.role = Role::kClient});
  client.endpoint.open(kCall, {}, Shape::kServerStream);
  EXPECT_TRUE(
      client.endpoint.receive(test::data(1, "") + test::data(1, "", kNoData) + test::data(1, "", kRemoteClosed)));
  EXPECT_EQ(client.events.log, (Log{"data 1", "closed 1"}));
}

TEST(Endpoint, StreamsKeepTheirOwnersContext) {
  Pair pair;
  int mine = 0;
  auto& stream = pair.client.endpoint.open(kCall, {}, Shape::kUnary);
  stream.context = &mine;
  void* seen = nullptr;
  pair.client.events.react = [&](std::string_view, Stream* answered) { seen = answered->context; };
  pair.server.events.react = [&](std::string_view, Stream* asked) {
    EXPECT_EQ(asked->context, nullptr);
    pair.server.endpoint.respond(*asked, {});
  };
  pair.pump();
  EXPECT_EQ(seen, &mine);
}

TEST(Endpoint, VisitsOpenStreams) {
  Peer client({.role = Role::kClient});
  for (int i = 0; i < 3; ++i) client.endpoint.open(kCall, {}, Shape::kUnary);
  std::uint32_t sum = 0;
  client.endpoint.for_each_stream([&](Stream& stream) { sum += stream.id(); });
  EXPECT_EQ(sum, 1u + 3u + 5u);
  EXPECT_EQ(client.endpoint.open_streams(), 3u);
}

// The ids of 2^31 calls are enough for a year at 68 calls a second; then the client connects anew.
TEST(Endpoint, RunsOutOfIdsWithoutWrapping) {
  Peer client({.role = Role::kClient, .first_stream = 0xFFFFFFFB});
  EXPECT_EQ(client.endpoint.open(kCall, {}, Shape::kUnary).id(), 0xFFFFFFFBu);
  EXPECT_TRUE(client.endpoint.can_open());
  EXPECT_EQ(client.endpoint.open(kCall, {}, Shape::kUnary).id(), 0xFFFFFFFDu);
  EXPECT_FALSE(client.endpoint.can_open());
}

TEST(EndpointCancel, ReachesTheHandlerAndNothingIsSentAfterIt) {
  Pair pair;
  pair.enable(kExtension);
  Stream* call = nullptr;
  pair.server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "request") call = stream;
  };
  auto& stream = pair.client.endpoint.open(kCall, {}, Shape::kBidiStream);
  EXPECT_EQ(pair.client.endpoint.send_data(stream, "m"sv), SendOutcome::kSent);
  pair.client.endpoint.cancel(stream, Code::kDeadlineExceeded);
  EXPECT_EQ(pair.client.endpoint.open_streams(), 0u);
  pair.pump();
  EXPECT_EQ(pair.server.events.log, (Log{"request 1 a.B/C open", "data 1 m", "cancel 1 DEADLINE_EXCEEDED"}));
  ASSERT_TRUE(call->cancelled);
  EXPECT_EQ(pair.server.endpoint.open_streams(), 1u) << "counts until its handler has finished";
  auto& server = pair.server.endpoint;
  EXPECT_EQ(server.send_data(*call, "x"sv), SendOutcome::kEnded);
  server.consumed(*call, 1);
  server.respond(*call, {}, "too late"sv);
  EXPECT_EQ(server.open_streams(), 0u);
  EXPECT_TRUE(server.output().empty());
}

TEST(EndpointCancel, EveryWayToEndACancelledCallIsSilent) {
  for (const int way : {0, 1, 2}) {
    Pair pair;
    pair.enable(kExtension);
    auto& server = pair.server.endpoint;
    pair.server.events.react = [&](std::string_view event, Stream* stream) {
      if (event != "cancel") return;
      if (way == 0) server.forget(*stream);
      if (way == 1) server.close_stream(*stream);
      if (way == 2) server.respond(*stream, {.code = Code::kCancelled});
    };
    pair.client.endpoint.cancel(pair.client.endpoint.open(kCall, {}, Shape::kUnary), Code::kCancelled);
    pair.pump();
    EXPECT_EQ(server.open_streams(), 0u) << way;
    EXPECT_TRUE(pair.client.events.log.empty());
    EXPECT_FALSE(pair.client.endpoint.violation());
  }
}

TEST(EndpointCancel, MayCrossTheAnswer) {
  Pair pair;
  pair.enable(kExtension);
  pair.server.events.react = [&](std::string_view, Stream* stream) { pair.server.endpoint.respond(*stream, {}); };
  auto& stream = pair.client.endpoint.open(kCall, {}, Shape::kUnary);
  Pair::move(pair.client, pair.server);
  pair.client.endpoint.cancel(stream, Code::kCancelled);
  pair.pump();
  EXPECT_TRUE(pair.client.events.log.empty()) << "given up: nobody waits for it";
  EXPECT_EQ(pair.server.events.log.size(), 1u);
  EXPECT_FALSE(pair.client.endpoint.violation() || pair.server.endpoint.violation());
}

TEST(EndpointCancel, ASecondOneIsIgnored) {
  Peer server({});
  server.endpoint.enable({.features = kFeatureCancel});
  const auto cancel = test::frame(FrameType::kCancel, 1, 0, test::be32(1));
  EXPECT_TRUE(server.endpoint.receive(test::request(1) + cancel + cancel));
  EXPECT_EQ(server.events.log, (Log{"request 1 a.B/C", "cancel 1 CANCELLED"}));
}

TEST(EndpointPing, IsAnsweredWithItsTokenByBothRoles) {
  Pair pair;
  pair.enable(kExtension);
  pair.client.endpoint.send_ping(7);
  EXPECT_EQ(Pair::move(pair.client, pair.server), kHeaderBytes + 8 + kCrcBytes);
  EXPECT_EQ(take_frames(pair.server.endpoint), Log{"Pong 0 #8"});
  pair.server.endpoint.send_ping(8);
  pair.pump();
  EXPECT_EQ(pair.server.endpoint.frames_received(), 2u) << "Ping and Pong";
}

TEST(EndpointGoaway, LeavesLaterCallsUnseenAndEarlierOnesRunning) {
  Pair pair;
  pair.enable(kExtension);
  Stream* running = nullptr;
  pair.server.events.react = [&](std::string_view, Stream* stream) { running = stream; };
  pair.client.endpoint.open(kCall, {}, Shape::kUnary);
  pair.pump();
  pair.server.endpoint.send_goaway(GoawayReason::kShutdown, 1'000, "stops");
  auto& late = pair.client.endpoint.open(kCall, {}, Shape::kClientStream);
  EXPECT_EQ(pair.client.endpoint.send_data(late, "late"sv), SendOutcome::kSent);
  pair.pump();
  EXPECT_EQ(pair.server.events.log, Log{"request 1 a.B/C"});
  EXPECT_EQ(pair.client.events.log, Log{"goaway last=1 reason=0 retry=1000 stops"});
  EXPECT_FALSE(pair.client.endpoint.can_open());
  pair.client.endpoint.cancel(late, Code::kUnavailable);
  pair.server.endpoint.respond(*running, {}, "still answered"sv);
  pair.pump();
  EXPECT_EQ(pair.client.events.log.back(), "response 1 OK still answered");
  EXPECT_FALSE(pair.server.endpoint.violation());
}

TEST(EndpointGoaway, IsSaidOnceAndItsTextIsBounded) {
  Peer server({});
  server.endpoint.enable({.features = kFeatureGoaway});
  server.endpoint.send_goaway(GoawayReason::kLimit, 0, std::string(1'000, 't'));
  EXPECT_EQ(take_frames(server.endpoint), Log{"Goaway 0 #268"});
  server.endpoint.send_goaway(GoawayReason::kShutdown, 0, "again");
  EXPECT_TRUE(server.endpoint.output().empty());
}

TEST(EndpointGoaway, AClientThatSaysItOpensNothingMore) {
  Pair pair;
  pair.enable(kExtension);
  pair.client.endpoint.send_goaway(GoawayReason::kClient, 0, "done");
  EXPECT_FALSE(pair.client.endpoint.can_open());
  pair.pump();
  EXPECT_EQ(pair.server.events.log, Log{"goaway last=0 reason=6 retry=0 done"});
}

TEST(EndpointCrc, BeginsBehindTheHelloExchange) {
  Pair pair;
  pair.server.events.react = [&](std::string_view, Stream* stream) {
    pair.server.endpoint.respond(*stream, {}, "hello"sv);
    pair.server.endpoint.enable(kExtension);
    pair.server.endpoint.send_ping(1);  // in the same bytes as the reply
    pair.server.events.react = [](std::string_view, Stream*) {};
  };
  pair.client.events.react = [&](std::string_view, Stream*) { pair.client.endpoint.enable(kExtension); };
  pair.client.endpoint.open(kCall, {}, Shape::kUnary);
  pair.pump(7);
  pair.client.endpoint.open(kCall, "checked"sv, Shape::kUnary);
  pair.pump(7);
  EXPECT_EQ(pair.client.events.log, Log{"response 1 OK hello"});
  EXPECT_EQ(pair.server.events.log.back(), "request 3 a.B/C checked");
  EXPECT_FALSE(pair.client.endpoint.violation() || pair.server.endpoint.violation());
}

TEST(EndpointCrc, AChangedBitEndsTheConnectionAndIsNoAnswer) {
  Pair pair;
  pair.enable(kExtension);
  pair.client.endpoint.open(kCall, "payload"sv, Shape::kUnary);
  auto bytes = take_output(pair.client.endpoint);
  bytes[bytes.size() - 6] ^= 1;
  EXPECT_FALSE(pair.server.endpoint.receive(bytes));
  EXPECT_EQ(pair.server.endpoint.violation()->kind, Violation::Kind::kBadCrc);
  EXPECT_TRUE(pair.server.events.log.empty());
  EXPECT_FALSE(pair.server.endpoint.receive("more")) << "broken for good";
}

TEST(EndpointPause, LeavesFramesForLaterWhenOutputPilesUp) {
  Peer server({.role = Role::kServer, .pause_output_bytes = 20});
  server.endpoint.enable({.features = kFeaturePing});
  const auto ping = test::frame(FrameType::kPing, 0, 0, "12345678");
  std::string bytes = ping + ping + ping + ping;
  EXPECT_TRUE(server.endpoint.receive(bytes));
  EXPECT_EQ(server.endpoint.frames_received(), 2u);
  EXPECT_EQ(server.endpoint.unread(), ping + ping);
  const std::string rest(server.endpoint.unread());
  EXPECT_EQ(take_frames(server.endpoint).size(), 2u);
  EXPECT_TRUE(server.endpoint.receive(rest));
  EXPECT_EQ(take_frames(server.endpoint).size(), 2u);
  EXPECT_TRUE(server.endpoint.unread().empty());
}

TEST(EndpointBound, ALongStatusIsCutAndNeverTooLargeForAFrame) {
  for (const std::size_t bytes : {kMaxToldText - 1, kMaxToldText, kMaxToldText + 1, std::size_t{kMaxDataBytes} * 2}) {
    const std::string message(bytes, 'x');
    Peer server({});
    server.events.react = [&](std::string_view, Stream* stream) {
      server.endpoint.respond(*stream, {Code::kInternal, message});
    };
    Peer client({.role = Role::kClient});
    client.endpoint.open(kCall, {}, Shape::kUnary);
    ASSERT_TRUE(server.endpoint.receive(take_output(client.endpoint)));
    const auto output = take_output(server.endpoint);
    const auto response = parse_response(std::string_view(output).substr(kHeaderBytes));
    ASSERT_TRUE(response);
    EXPECT_EQ(response->code, Code::kInternal);
    EXPECT_EQ(response->message, bounded_text(message)) << bytes;
  }
}

TEST(EndpointBound, AGoawaysTextIsCutBetweenCharacters) {
  Pair pair;
  pair.enable(kExtension);
  std::string text(kMaxGoawayText - 1, 'x');
  text += "€";
  pair.server.endpoint.send_goaway(GoawayReason::kShutdown, 0, text);
  const auto output = take_output(pair.server.endpoint);
  const auto goaway =
      decode_goaway(std::string_view(output).substr(kHeaderBytes, output.size() - kHeaderBytes - kCrcBytes));
  ASSERT_TRUE(goaway);
  EXPECT_EQ(goaway->text, bounded_text(text, kMaxGoawayText));
}

}  // namespace
}  // namespace hostcall::wire
