// What a peer may not do: every Violation, in both roles, and what looks wrong and is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/wire/endpoint.h"
#include "tests/support/counting_budget.h"
#include "tests/support/frames.h"
#include "tests/support/wire_peer.h"

namespace hostcall::wire {
namespace {

using test::be32;
using test::data;
using test::field;
using test::frame;
using test::header;
using test::Peer;
using test::request;
using testing::HasSubstr;
using Kind = Violation::Kind;
using Log = std::vector<std::string>;
using Role = EndpointOptions::Role;
constexpr Extension kExtension{
    .features = kAllFeatures & ~std::uint64_t{kFeatureCrc32c}, .stream_window = 1'000, .connection_window = 2'000};

struct Case {
  const char* name;
  std::string bytes;
  Kind kind;
  const char* text;
};

std::string goaway_body(std::size_t text) { return be32(0) + be32(0) + be32(0) + std::string(text, 't'); }

void expect_violation(Peer& peer, const Case& wrong) {
  EXPECT_FALSE(peer.endpoint.receive(wrong.bytes)) << wrong.name;
  ASSERT_TRUE(peer.endpoint.violation()) << wrong.name;
  EXPECT_EQ(peer.endpoint.violation()->kind, wrong.kind) << wrong.name;
  EXPECT_THAT(peer.endpoint.violation()->text, HasSubstr(wrong.text)) << wrong.name;
}

TEST(EndpointViolation, OfABaseClient) {
  const Case cases[] = {
      {"another protocol", "GET / HTTP/1.1", Kind::kNotTtrpc, "HTTP"},
      {"length", header(kMaxDataBytes + 1, 1, FrameType::kRequest), Kind::kBadFrame, "claims 4194305 bytes"},
      {"unknown type", frame(FrameType{0x7F}, 1, 0, {}), Kind::kBadFrame, "unknown frame type 127"},
      {"type 0", frame(FrameType{0}, 1, 0, {}), Kind::kBadFrame, "unknown frame type 0"},
      {"even stream", request(2), Kind::kBadState, "even stream ids"},
      {"stream 0", request(0), Kind::kBadState, "even stream ids"},
      {"id twice", request(1) + request(1), Kind::kBadState, "used twice: 1 after 1"},
      {"old id twice", request(1) + request(5) + request(1), Kind::kBadState, "used twice: 1 after 5"},
      {"both flags", request(1, kRemoteOpen | kRemoteClosed), Kind::kBadFrame, "request flags 3"},
      {"unknown flag", request(1, 0x80), Kind::kBadFrame, "request flags 128"},
      {"no Request", frame(FrameType::kRequest, 1, 0, "\x0a\xff"), Kind::kBadFrame, "not a Request message"},
      {"Response to a server", frame(FrameType::kResponse, 1, 0, {}), Kind::kBadState, "a response to a server"},
      {"Data before its call", data(1, "x"), Kind::kBadState, "never opened"},
      {"Data on a later stream", request(1, kRemoteOpen) + data(3, "x"), Kind::kBadState, "never opened"},
      {"Data on an even stream", request(3, kRemoteOpen) + data(2, "x"), Kind::kBadState, "never opened"},
      {"Data of a unary call", request(1) + data(1, "x"), Kind::kBadState, "may not send"},
      {"Data after the end", request(1, kRemoteOpen) + data(1, "", kRemoteClosed | kNoData) + data(1, "x"),
       Kind::kBadState, "may not send"},
      {"two ends", request(1, kRemoteOpen) + data(1, "x", kRemoteClosed) + data(1, "", kRemoteClosed | kNoData),
       Kind::kBadState, "may not send"},
      {"Data flags", request(1, kRemoteOpen) + data(1, "x", kRemoteOpen), Kind::kBadFrame, "data flags 2"},
      {"no data, yet data", request(1, kRemoteOpen) + data(1, "x", kNoData), Kind::kBadFrame, "data flags 4"},
      {"Cancel", request(1) + frame(FrameType::kCancel, 1, 0, be32(1)), Kind::kBadState, "not agreed"},
      {"Window", frame(FrameType::kWindow, 0, 0, be32(1)), Kind::kBadState, "not agreed"},
      {"Ping", frame(FrameType::kPing, 0, 0, "12345678"), Kind::kBadState, "not agreed"},
      {"Pong", frame(FrameType::kPong, 0, 0, "12345678"), Kind::kBadState, "not agreed"},
      {"Goaway", frame(FrameType::kGoaway, 0, 0, goaway_body(0)), Kind::kBadState, "not agreed"},
  };
  for (const auto& wrong : cases) {
    Peer server({});
    expect_violation(server, wrong);
  }
}

TEST(EndpointViolation, OfAnExtendedPeer) {
  const auto full = data(1, std::string(1'000, 'x'));
  const Case cases[] = {
      {"ids change places", request(3) + request(1), Kind::kBadState, "must increase"},
      {"short Cancel", request(1) + frame(FrameType::kCancel, 1, 0, "123"), Kind::kBadFrame, "bad Cancel"},
      {"long Cancel", request(1) + frame(FrameType::kCancel, 1, 0, "12345"), Kind::kBadFrame, "bad Cancel"},
      {"Cancel of nothing", frame(FrameType::kCancel, 1, 0, be32(1)), Kind::kBadState, "never began"},
      {"Cancel of stream 0", frame(FrameType::kCancel, 0, 0, be32(1)), Kind::kBadState, "never began"},
      {"short Window", frame(FrameType::kWindow, 0, 0, "12"), Kind::kBadFrame, "bad Window"},
      {"no credit", frame(FrameType::kWindow, 0, 0, be32(0)), Kind::kBadFrame, "bad Window"},
      {"Window of nothing", frame(FrameType::kWindow, 1, 0, be32(1)), Kind::kBadState, "Window for no stream"},
      {"Window of an even stream", frame(FrameType::kWindow, 2, 0, be32(1)), Kind::kBadState, "Window for no stream"},
      {"too much credit", frame(FrameType::kWindow, 0, 0, be32(0x7FFFFFFF)), Kind::kBadWindow, "above 2^31-1"},
      {"too much for a stream", request(1) + frame(FrameType::kWindow, 1, 0, be32(0xFFFFFFFF)), Kind::kBadWindow,
       "above 2^31-1"},
      {"stream window", request(1, kRemoteOpen) + full + data(1, "x"), Kind::kBadWindow, "beyond the stream's window"},
      {"connection window",
       request(1, kRemoteOpen) + request(3, kRemoteOpen) + full + data(3, std::string(990, 'x')) + data(3, "x"),
       Kind::kBadWindow, "beyond the connection's window"},
      {"short Ping", frame(FrameType::kPing, 0, 0, "1234567"), Kind::kBadFrame, "bad Ping"},
      {"Ping on a stream", request(1) + frame(FrameType::kPing, 1, 0, "12345678"), Kind::kBadFrame, "bad Ping"},
      {"long Pong", frame(FrameType::kPong, 0, 0, "123456789"), Kind::kBadFrame, "bad Ping or Pong"},
      {"short Goaway", frame(FrameType::kGoaway, 0, 0, "12345678901"), Kind::kBadFrame, "bad Goaway"},
      {"long Goaway", frame(FrameType::kGoaway, 0, 0, goaway_body(257)), Kind::kBadFrame, "bad Goaway"},
      {"Goaway on a stream", request(1) + frame(FrameType::kGoaway, 1, 0, goaway_body(0)), Kind::kBadFrame,
       "bad Goaway"},
      {"a huge Ping", header(500, 0, FrameType::kPing) + std::string(500, 'x'), Kind::kBadFrame, "bad Ping"},
  };
  for (const auto& wrong : cases) {
    Peer server({.role = Role::kServer, .max_message_bytes = 1'000});
    server.endpoint.enable(kExtension);
    expect_violation(server, wrong);
  }
}

// A host is a peer too: the client opens stream 1 (unary) and 3 (both ways) first.
TEST(EndpointViolation, OfAHost) {
  const Case cases[] = {
      {"a call of the host", request(2), Kind::kBadState, "requests to a client are reserved"},
      {"a call with a client's id", request(5), Kind::kBadState, "requests to a client are reserved"},
      {"answer to nothing", frame(FrameType::kResponse, 5, 0, {}), Kind::kBadState, "a response without a request"},
      {"answer on an even stream", frame(FrameType::kResponse, 2, 0, {}), Kind::kBadState,
       "a response without a request"},
      {"no Response", frame(FrameType::kResponse, 1, 0, "\x0a\xff"), Kind::kBadFrame, "not a Response message"},
      {"Data of a unary call", data(1, "x"), Kind::kBadState, "may not send"},
      {"Data of nothing", data(5, "x"), Kind::kBadState, "never opened"},
      {"Cancel", frame(FrameType::kCancel, 3, 0, be32(1)), Kind::kBadFrame, "bad Cancel"},
  };
  for (const auto& wrong : cases) {
    Peer client({.role = Role::kClient});
    client.endpoint.enable(kExtension);
    client.endpoint.open({.service = "a.B", .method = "C"}, {}, Shape::kUnary);
    client.endpoint.open({.service = "a.B", .method = "C"}, {}, Shape::kBidiStream);
    expect_violation(client, wrong);
    EXPECT_FALSE(client.endpoint.can_open()) << wrong.name;
  }
}

TEST(EndpointViolation, InitialWindowsOutOfRange) {
  for (const std::uint32_t bad : {0u, 0x80000000u, 0xFFFFFFFFu}) {
    Peer stream({}), connection({}), unused({});
    stream.endpoint.enable({.features = kFeatureWindow, .stream_window = bad, .connection_window = 1});
    connection.endpoint.enable({.features = kFeatureWindow, .stream_window = 1, .connection_window = bad});
    unused.endpoint.enable({.features = kFeaturePing, .stream_window = bad, .connection_window = bad});
    ASSERT_TRUE(stream.endpoint.violation() && connection.endpoint.violation());
    EXPECT_EQ(stream.endpoint.violation()->kind, Kind::kBadWindow);
    EXPECT_FALSE(unused.endpoint.violation());
  }
}

TEST(EndpointViolation, LeavesNoCallBehindThatItsOwnerDoesNotKnow) {
  Peer server({});
  EXPECT_FALSE(server.endpoint.receive(frame(FrameType::kRequest, 1, 0, "\x0a\xff")));
  EXPECT_EQ(server.endpoint.open_streams(), 0u);
}

TEST(EndpointTolerates, FlagsThatItDoesNotKnowOnFramesOfTheExtension) {
  Peer server({});
  server.endpoint.enable(kExtension);
  EXPECT_TRUE(server.endpoint.receive(
      request(1) + frame(FrameType::kPing, 0, 0xFF, "12345678") + frame(FrameType::kWindow, 1, 0xFF, be32(1)) +
      frame(FrameType::kCancel, 1, 0xFF, be32(1)) + frame(FrameType::kGoaway, 0, 0xFF, goaway_body(256))));
}

TEST(EndpointTolerates, LateFramesOfEndedCalls) {
  Peer server({});
  server.endpoint.enable(kExtension);
  server.events.react = [&](std::string_view, Stream* stream) { server.endpoint.respond(*stream, {}); };
  EXPECT_TRUE(server.endpoint.receive(request(1, kRemoteOpen) + data(1, "late") + data(1, "", kRemoteClosed | kNoData) +
                                      frame(FrameType::kWindow, 1, 0, be32(9)) +
                                      frame(FrameType::kCancel, 1, 0, be32(1))));
  EXPECT_EQ(server.events.log, Log{"request 1 a.B/C open"});
}

// ttrpc-rust marks the Request of a stream that way.
TEST(EndpointTolerates, TheNoDataFlagOnARequest) {
  Peer server({});
  EXPECT_TRUE(server.endpoint.receive(request(1, kRemoteOpen | kNoData) + request(3, kRemoteClosed | kNoData)));
  EXPECT_EQ(server.events.log, (Log{"request 1 a.B/C open", "request 3 a.B/C"}));
}

// ttrpc-rust numbers concurrent calls before it queues them.
TEST(EndpointTolerates, NeighbouringCallsOfABaseClientThatChangePlaces) {
  Peer server({});
  EXPECT_TRUE(server.endpoint.receive(request(5) + request(1) + request(7) + request(3) + request(9)));
  EXPECT_EQ(server.endpoint.open_streams(), 5u);
  EXPECT_FALSE(server.endpoint.receive(request(3))) << "but each once only";
}

TEST(EndpointTolerates, OnlySoManySkippedIds) {
  Peer server({});
  EXPECT_TRUE(server.endpoint.receive(request(1'001)));
  EXPECT_TRUE(server.endpoint.receive(request(1'001 - 2 * 64)));
  EXPECT_FALSE(server.endpoint.receive(request(1'001 - 2 * 65)));
  Peer extended({});
  EXPECT_TRUE(extended.endpoint.receive(request(3)));
  extended.endpoint.enable(kExtension);
  EXPECT_FALSE(extended.endpoint.receive(request(1))) << "Goaway's last stream needs the strict order";
}

// The id after the last one of 32 bits would be 1 again.
TEST(EndpointIds, NeverWrap) {
  constexpr std::uint32_t kLast = 0xFFFFFFFF;
  for (const std::uint32_t next : {1u, 3u, kLast, kLast - 2, 0x7FFFFFFFu, 0x80000001u}) {
    for (const bool is_extended : {false, true}) {
      Peer server({});
      if (is_extended) server.endpoint.enable(kExtension);
      server.events.react = [&](std::string_view, Stream* stream) { server.endpoint.respond(*stream, {}); };
      ASSERT_TRUE(server.endpoint.receive(request(1) + request(kLast)));
      const bool was_skipped = !is_extended && next == kLast - 2;
      EXPECT_EQ(server.endpoint.receive(request(next)), was_skipped) << next;
      if (was_skipped) continue;
      ASSERT_NE(server.endpoint.violation(), nullptr);
      EXPECT_NE(server.endpoint.violation()->text.find("stream ids must increase"), std::string::npos);
    }
  }
}

TEST(EndpointIds, TheLastOnesAreGoodOnceEach) {
  Peer server({});
  server.endpoint.enable(kExtension);
  ASSERT_TRUE(server.endpoint.receive(request(0xFFFFFFFB) + request(0xFFFFFFFD) + request(0xFFFFFFFF)));
  EXPECT_EQ(server.endpoint.open_streams(), 3u);
  EXPECT_FALSE(server.endpoint.receive(request(0xFFFFFFFF)));
  EXPECT_EQ(server.endpoint.open_streams(), 3u);
}

TEST(EndpointRefused, TooLargeFramesAreReportedWithTheirCall) {
  Peer server({.role = Role::kServer, .max_message_bytes = 100});
  const std::string large(200, 'x');
  server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "refused") server.endpoint.respond(*stream, {.code = Code::kResourceExhausted});
  };
  EXPECT_TRUE(server.endpoint.receive(request(1, 0, std::string(100, 'p')) + request(3, kRemoteOpen) + data(3, large) +
                                      data(3, large) + request(5)));
  EXPECT_EQ(server.events.log, (Log{"refused 1 too large, type 1", "request 3 a.B/C open",
                                    "refused 3 too large, type 3", "request 5 a.B/C"}));
  EXPECT_EQ(test::take_frames(server.endpoint), (Log{"Response 1 #4", "Response 3 #4"}));
}

// It ends the connection, but its caller learns why first.
TEST(EndpointRefused, AFrameBeyondAllLimitsEndsItsCallBeforeTheConnection) {
  for (const bool in_parts : {false, true}) {
    for (const auto type : {FrameType::kRequest, FrameType::kData}) {
      Peer server({.role = Role::kServer});
      server.events.react = [&](std::string_view event, Stream* stream) {
        if (event == "refused") server.endpoint.respond(*stream, {.code = Code::kResourceExhausted});
      };
      EXPECT_TRUE(server.endpoint.receive(request(1, kRemoteOpen)));
      server.events.log.clear();
      const bool is_request = type == FrameType::kRequest;
      auto bytes = header(kMaxDataBytes + 1, is_request ? 3 : 1, type);
      if (in_parts) {
        EXPECT_TRUE(server.endpoint.receive(bytes.substr(0, 7)));
        bytes = bytes.substr(7);
      }
      EXPECT_FALSE(server.endpoint.receive(bytes));
      EXPECT_EQ(server.events.log, Log{is_request ? "refused 3 too large, type 1" : "refused 1 too large, type 3"});
      EXPECT_EQ(test::take_frames(server.endpoint), Log{is_request ? "Response 3 #4" : "Response 1 #4"});
      EXPECT_THAT(server.endpoint.violation()->text, HasSubstr("a frame claims 4194305 bytes"));
    }
  }
}

TEST(EndpointRefused, AFrameBeyondAllLimitsOfNoCallJustEndsTheConnection) {
  for (const auto& bytes :
       {header(kMaxDataBytes + 1, 1, FrameType::kRequest), header(kMaxDataBytes + 1, 9, FrameType::kData),
        header(kMaxDataBytes + 1, 1, FrameType::kCancel), header(kMaxDataBytes + 1, 2, FrameType::kRequest),
        header(kMaxDataBytes + 1, 0, FrameType::kPing)}) {
    Peer server({.role = Role::kServer});
    EXPECT_TRUE(server.endpoint.receive(request(1)));
    EXPECT_FALSE(server.endpoint.receive(bytes));
    EXPECT_EQ(server.events.log, Log{"request 1 a.B/C"});
    EXPECT_TRUE(server.endpoint.violation());
  }
}

TEST(EndpointRefused, ObeysTheRulesOfOtherFrames) {
  const std::string large(200, 'x');
  std::string unread;
  for (int i = 0; i < 7; ++i) unread += data(1, std::string(100, 'x'));
  const Case cases[] = {
      {"even stream", frame(FrameType::kRequest, 2, 0, large), Kind::kBadState, "even stream ids"},
      {"flags", frame(FrameType::kRequest, 1, 0x80, large), Kind::kBadFrame, "request flags"},
      {"Response", request(1) + frame(FrameType::kResponse, 1, 0, large), Kind::kBadState, "a response to a server"},
      {"Data of nothing", data(1, large), Kind::kBadState, "never opened"},
      {"Data of a unary call", request(1) + data(1, large), Kind::kBadState, "may not send"},
      {"Data flags", request(1, kRemoteOpen) + data(1, large, kNoData), Kind::kBadFrame, "data flags"},
      {"window", request(1, kRemoteOpen) + unread + data(1, large), Kind::kBadWindow, "beyond the stream's window"},
  };
  for (const auto& wrong : cases) {
    Peer server({.role = Role::kServer, .max_message_bytes = 100});
    server.endpoint.enable(kExtension);
    expect_violation(server, wrong);
  }
}

TEST(EndpointRefused, ATooLargeAnswerEndsTheCallAtItsCaller) {
  Peer client({.role = Role::kClient, .max_message_bytes = 100});
  client.endpoint.open({.service = "a.B", .method = "C"}, {}, Shape::kUnary);
  EXPECT_TRUE(client.endpoint.receive(frame(FrameType::kResponse, 1, 0, std::string(200, 'x'))));
  EXPECT_EQ(client.events.log, Log{"refused 1 too large, type 2"});
  EXPECT_EQ(client.endpoint.open_streams(), 0u);
}

// Beyond ttrpc's own limit the connection ends, too.
TEST(EndpointRefused, AnAnswerBeyondTtrpcsLimitEndsItsCallFirst) {
  for (const auto type : {FrameType::kResponse, FrameType::kData}) {
    Peer client({.role = Role::kClient});
    client.endpoint.open({.service = "a.B", .method = "C"}, {}, Shape::kServerStream);
    EXPECT_FALSE(client.endpoint.receive(header(kMaxDataBytes + 1, 1, type)));
    EXPECT_EQ(client.events.log, Log{"refused 1 too large, type " + std::to_string(static_cast<int>(type))});
    EXPECT_EQ(client.endpoint.violation()->kind, Violation::Kind::kBadFrame);
  }
  Peer client({.role = Role::kClient});
  client.endpoint.open({.service = "a.B", .method = "C"}, {}, Shape::kUnary);
  EXPECT_FALSE(client.endpoint.receive(header(kMaxDataBytes + 1, 3, FrameType::kResponse)));
  EXPECT_EQ(client.events.log, Log{});
}

TEST(EndpointRefused, TheBudgetIsAskedForTheWholeConnection) {
  test::CountingBudget budget(1'000);
  {
    Peer server({.role = Role::kServer, .budget = &budget});
    const auto bytes = request(1, kRemoteOpen) + data(1, std::string(5'000, 'x'));
    for (const char byte : bytes) ASSERT_TRUE(server.endpoint.receive({&byte, 1}));
    EXPECT_EQ(server.events.log, (Log{"request 1 a.B/C open", "refused 1 no budget, type 3"}));
    EXPECT_TRUE(server.endpoint.receive(data(1, std::string(900, 'x')).substr(0, 800)));
    EXPECT_GT(budget.charged(), 0u);
    EXPECT_TRUE(server.endpoint.mid_frame());
  }
  EXPECT_EQ(budget.charged(), 0u);
}

}  // namespace
}  // namespace hostcall::wire
