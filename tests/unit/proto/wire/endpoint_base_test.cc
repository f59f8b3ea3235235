// Peers that have not agreed on the extension: plain ttrpc clients. Output is bounded by a watermark instead of
// windows, and frames that cross an end are no fault.
#include <gtest/gtest.h>

#include "proto/wire/endpoint.h"
#include "tests/support/frames.h"
#include "tests/support/wire_peer.h"

namespace hostcall::wire {
namespace {

using namespace std::string_view_literals;
using test::data;
using test::frame;
using test::Pair;
using test::Peer;
using test::request;
using test::take_frames;
using test::take_output;
using Log = std::vector<std::string>;
using Role = EndpointOptions::Role;
constexpr RequestFields kCall{.service = "a.B", .method = "C"};
constexpr std::size_t kWatermark = 1'000;

// A message of that many bytes.
std::string_view message(std::size_t bytes) {
  static const std::string letters(1'000'000, 'm');
  return std::string_view(letters).substr(0, bytes);
}

TEST(EndpointBase, OutputAboveTheWatermarkBlocksAndDrainingWakes) {
  Peer server({.role = Role::kServer, .output_watermark = kWatermark});
  Stream* stream = nullptr;
  server.events.react = [&](std::string_view, Stream* opened) { stream = opened; };
  EXPECT_TRUE(server.endpoint.receive(request(1)));
  EXPECT_EQ(server.endpoint.send_data(*stream, message(5'000)), SendOutcome::kSent) << "a whole message, then no more";
  EXPECT_EQ(server.endpoint.send_data(*stream, message(1)), SendOutcome::kBlocked);
  server.endpoint.output().consume(5'010 - kWatermark);
  server.endpoint.output_drained();
  EXPECT_EQ(server.events.log.size(), 1u) << "at the watermark is not below it";
  server.endpoint.output().consume(1);
  server.endpoint.output_drained();
  EXPECT_EQ(server.events.log, (Log{"request 1 a.B/C", "writable 1"}));
  server.endpoint.output_drained();
  EXPECT_EQ(server.events.log.size(), 2u) << "woken once";
}

TEST(EndpointBase, AnswersAndEndsAreNeverBlocked) {
  Peer server({.role = Role::kServer, .output_watermark = 1});
  server.events.react = [&](std::string_view, Stream* stream) {
    if (stream->id() == 5) return server.endpoint.close_stream(*stream);
    server.endpoint.respond(*stream, {}, "answer"sv);
  };
  EXPECT_TRUE(server.endpoint.receive(request(1) + request(3) + request(5)));
  EXPECT_EQ(take_frames(server.endpoint), (Log{"Response 1 #8", "Response 3 #8", "Data 5 #0"}));
}

TEST(EndpointBase, StreamsAboveTheWatermarkTakeTurns) {
  Peer server({.role = Role::kServer, .output_watermark = 1});
  std::vector<std::uint32_t> turns;
  server.events.react = [&](std::string_view, Stream* stream) {
    while (server.endpoint.send_data(*stream, "m"sv) == SendOutcome::kSent) turns.push_back(stream->id());
  };
  EXPECT_TRUE(server.endpoint.receive(request(1) + request(3) + request(5)));
  while (turns.size() < 12) {
    take_output(server.endpoint);
    server.endpoint.output_drained();
  }
  EXPECT_EQ(turns, (std::vector<std::uint32_t>{1, 1, 3, 5, 1, 3, 5, 1, 3, 5, 1, 3}));
}

TEST(EndpointBase, LateDataAfterTheAnswerIsIgnored) {
  Peer server({});
  server.events.react = [&](std::string_view, Stream* stream) { server.endpoint.respond(*stream, {}); };
  EXPECT_TRUE(server.endpoint.receive(request(1, kRemoteOpen) + data(1, "late") + data(1, "", kRemoteClosed | kNoData) +
                                      request(3)));
  EXPECT_EQ(server.events.log, (Log{"request 1 a.B/C open", "request 3 a.B/C"}));
}

TEST(EndpointBase, AnswersToCallsThatWereGivenUpAreIgnored) {
  Peer client({.role = Role::kClient});
  client.endpoint.cancel(client.endpoint.open(kCall, {}, Shape::kServerStream), Code::kCancelled);
  EXPECT_EQ(take_frames(client.endpoint), Log{"Request 1 #8"}) << "there is no Cancel to be said";
  EXPECT_TRUE(client.endpoint.receive(data(1, "x") + frame(FrameType::kResponse, 1, 0, {})));
  EXPECT_TRUE(client.events.log.empty());
}

TEST(EndpointBase, SaysNothingOfTheExtension) {
  Peer server({});
  server.endpoint.send_ping(1);
  server.endpoint.send_goaway(GoawayReason::kShutdown, 0, "stops");
  EXPECT_TRUE(server.endpoint.output().empty());
  EXPECT_TRUE(server.endpoint.receive(request(1)));
  EXPECT_EQ(server.events.log, Log{"request 1 a.B/C"}) << "its caller could not know: the owner has to answer";
}

TEST(EndpointBase, ConsumingGrantsNothing) {
  Peer server({});
  server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "data") server.endpoint.consumed(*stream, 1);
  };
  EXPECT_TRUE(server.endpoint.receive(request(1, kRemoteOpen) + data(1, "x")));
  EXPECT_TRUE(server.endpoint.output().empty());
}

// Each writes far beyond its watermark, and each reads only what the other has written: both go on.
TEST(EndpointBase, BothSidesWritingMuchDoNotLockUp) {
  constexpr std::size_t kMessages = 500;
  Pair pair({.role = Role::kClient, .output_watermark = kWatermark},
            {.role = Role::kServer, .output_watermark = kWatermark});
  std::size_t sent[2] = {}, received[2] = {};
  const auto script = [&](Peer& peer, int side) {
    return [&, side](std::string_view event, Stream* stream) {
      if (event == "data") ++received[side];
      while (sent[side] < kMessages && peer.endpoint.send_data(*stream, message(700)) == SendOutcome::kSent)
        ++sent[side];
    };
  };
  pair.client.events.react = script(pair.client, 0);
  pair.server.events.react = script(pair.server, 1);
  pair.client.endpoint.open(kCall, {}, Shape::kBidiStream);
  pair.pump(1'009);
  EXPECT_EQ(received[0], kMessages);
  EXPECT_EQ(received[1], kMessages);
}

}  // namespace
}  // namespace hostcall::wire
