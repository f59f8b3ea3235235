// Flow control by Window frames: what blocks, what wakes, in which order, and that no credit is ever lost.
#include <gtest/gtest.h>
#include <malloc.h>

#include <map>
#include <utility>

#include "proto/wire/endpoint.h"
#include "tests/support/frames.h"
#include "tests/support/wire_peer.h"

namespace hostcall::wire {
namespace {

using namespace std::string_view_literals;
using test::be32;
using test::data;
using test::frame;
using test::Pair;
using test::Peer;
using test::request;
using test::take_frames;
using test::take_output;
using Log = std::vector<std::string>;
constexpr RequestFields kCall{.service = "a.B", .method = "C"};

Extension windows(std::uint32_t stream, std::uint32_t connection) {
  return {.features = kFeatureWindow | kFeatureCancel, .stream_window = stream, .connection_window = connection};
}

// A message of that many bytes.
std::string_view message(std::size_t bytes) {
  static const std::string letters(1'000'000, 'm');
  return std::string_view(letters).substr(0, bytes);
}

struct Flow : testing::Test {
  Pair pair;
  Endpoint& client = pair.client.endpoint;
  Endpoint& server = pair.server.endpoint;
  Stream& open() { return client.open(kCall, {}, Shape::kBidiStream); }
  SendOutcome send(Stream& stream, std::size_t bytes) { return client.send_data(stream, message(bytes)); }
  // The server's owner uses every message up at once.
  void consume_all() {
    pair.server.events.react = [this](std::string_view event, Stream* stream) {
      if (event == "data") server.consumed(*stream, used_bytes);
    };
  }
  std::size_t used_bytes = 0;
  void expect_well() { EXPECT_FALSE(client.violation() || server.violation()); }
};

TEST_F(Flow, BlocksWithoutCreditAndWakesWithIt) {
  pair.enable(windows(1'000, 10'000));
  auto& stream = open();
  EXPECT_EQ(send(stream, 500), SendOutcome::kSent);
  EXPECT_EQ(send(stream, 500), SendOutcome::kSent) << "436 are left: enough to begin";
  EXPECT_EQ(send(stream, 0), SendOutcome::kBlocked);
  EXPECT_EQ(send(stream, 0), SendOutcome::kBlocked);
  pair.pump();
  EXPECT_EQ(pair.client.events.log, Log{}) << "nothing was consumed";
  consume_all();
  Stream* at_server = nullptr;
  server.for_each_stream([&](Stream& open) { at_server = &open; });
  server.consumed(*at_server, 500);
  pair.pump();
  EXPECT_EQ(pair.client.events.log, Log{"writable 1"}) << "once, though it was asked twice";
  EXPECT_EQ(send(stream, 10), SendOutcome::kSent);
  expect_well();
}

TEST_F(Flow, OneMessageMayOverdrawEachWindow) {
  pair.enable(windows(10, 20));
  auto& first = open();
  EXPECT_EQ(send(first, 1'000'000), SendOutcome::kSent);
  auto& second = open();
  EXPECT_EQ(send(second, 1), SendOutcome::kBlocked) << "the connection's window is overdrawn";
  used_bytes = 1'000'000;
  consume_all();
  pair.pump();
  EXPECT_EQ(pair.client.events.log, Log{"writable 3"});
  EXPECT_EQ(send(first, 1), SendOutcome::kSent) << "and paid back whole";
  expect_well();
}

TEST_F(Flow, EmptyMessagesAreNotFreeAndTheBareEndIs) {
  pair.enable(windows(2 * kDataFrameCost, 10'000));
  auto& stream = open();
  EXPECT_EQ(send(stream, 0), SendOutcome::kSent);
  EXPECT_EQ(send(stream, 0), SendOutcome::kSent);
  EXPECT_EQ(send(stream, 0), SendOutcome::kBlocked);
  client.close_send(stream);
  pair.pump();
  EXPECT_EQ(pair.server.events.log, (Log{"request 1 a.B/C open", "data 1", "data 1", "closed 1"}));
  expect_well();
}

// The credit of all streams of a connection together is more than may lie in the output of a peer that does not read.
TEST_F(Flow, AFullOutputBlocksWhateverCreditThereIs) {
  pair.enable(windows(10'000'000, 10'000'000));
  auto& first = open();
  auto& second = open();
  const auto watermark = EndpointOptions{}.output_watermark;
  EXPECT_EQ(send(first, watermark), SendOutcome::kSent);
  EXPECT_EQ(send(first, 1), SendOutcome::kBlocked);
  EXPECT_EQ(send(second, 1), SendOutcome::kBlocked);
  client.output_drained();
  EXPECT_EQ(pair.client.events.log, Log{}) << "nothing was sent";
  take_output(client);
  client.output_drained();
  EXPECT_EQ(pair.client.events.log, (Log{"writable 1", "writable 3"}));
  client.output_drained();
  EXPECT_EQ(pair.client.events.log.size(), 2u) << "told once";
  EXPECT_EQ(send(first, 1), SendOutcome::kSent);
}

TEST_F(Flow, GrantsComeInQuartersNotForEachMessage) {
  pair.enable(windows(2'000, 8'000));
  used_bytes = 100;
  consume_all();
  auto& stream = open();
  for (int i = 0; i < 6; ++i) EXPECT_EQ(send(stream, 100), SendOutcome::kSent);
  Pair::move(pair.client, pair.server);
  EXPECT_EQ(take_frames(server), Log{"Window 1 #4"}) << "6 x 164 is once more than 500 and less than 2,000";
}

TEST_F(Flow, NoCreditIsGrantedForASideThatIsClosed) {
  pair.enable(windows(100, 10'000));
  pair.server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "closed") server.consumed(*stream, 90);
  };
  auto& stream = open();
  EXPECT_EQ(send(stream, 90), SendOutcome::kSent);
  client.close_send(stream);
  Pair::move(pair.client, pair.server);
  EXPECT_TRUE(take_frames(server).empty());
}

// Calls that end with messages unread, or get messages after their end, must not eat up the connection's window.
TEST_F(Flow, TheConnectionWindowSurvivesCallsThatEndEarly) {
  pair.enable(windows(1'000, 1'000));
  pair.server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "data") server.respond(*stream, {.code = Code::kAborted});
  };
  for (int call = 0; call < 50; ++call) {
    auto& stream = open();
    ASSERT_EQ(send(stream, 200), SendOutcome::kSent) << call << ": unread at its end";
    ASSERT_EQ(send(stream, 200), SendOutcome::kSent) << call << ": late";
    pair.pump();
  }
  EXPECT_EQ(pair.client.events.log.size(), 50u);
  expect_well();
}

TEST_F(Flow, TheConnectionWindowSurvivesCancelledCalls) {
  pair.enable(windows(1'000, 1'000));
  pair.server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "request") {
      for (int i = 0; i < 3; ++i) EXPECT_EQ(server.send_data(*stream, message(300)), SendOutcome::kSent);
    }
    if (event == "cancel") server.forget(*stream);
  };
  for (int call = 0; call < 50; ++call) {
    auto& stream = open();
    ASSERT_EQ(send(stream, 300), SendOutcome::kSent) << call;
    Pair::move(pair.client, pair.server);
    client.cancel(stream, Code::kCancelled);
    pair.pump();
    ASSERT_EQ(server.open_streams(), 0u);
  }
  expect_well();
}

TEST_F(Flow, RefusedAndEmptyFramesGiveTheirCreditBack) {
  Peer small({.role = EndpointOptions::Role::kServer, .max_message_bytes = 100});
  small.endpoint.enable(windows(400, 400));
  ASSERT_TRUE(small.endpoint.receive(request(1, kRemoteOpen)));
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(small.endpoint.receive(data(1, message(300)))) << small.endpoint.violation()->text;
    ASSERT_TRUE(small.endpoint.receive(data(1, "", kNoData)));
    ASSERT_EQ(take_frames(small.endpoint), (Log{"Window 1 #4", "Window 0 #4"})) << i;
  }
}

// Two replies compete for a connection window of one message: each gets its turn.
TEST_F(Flow, BlockedStreamsTakeTurns) {
  pair.enable(windows(10'000, 100));
  std::vector<std::uint32_t> turns;
  const auto write = [&](Stream& stream) {
    while (turns.size() < 20 && server.send_data(stream, message(100)) == SendOutcome::kSent)
      turns.push_back(stream.id());
  };
  pair.server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "request" || event == "writable") write(*stream);
  };
  pair.client.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "data") client.consumed(*stream, 100);
  };
  for (int i = 0; i < 3; ++i) open();
  pair.pump();
  ASSERT_EQ(turns.size(), 20u);
  for (const std::uint32_t id : {1u, 3u, 5u}) EXPECT_GE(std::ranges::count(turns, id), 6) << id;
  expect_well();
}

TEST_F(Flow, AStreamWithoutCreditDoesNotHoldOthersUp) {
  pair.enable(windows(100, 100'000));
  auto& full = open();
  auto& other = open();
  EXPECT_EQ(send(full, 100), SendOutcome::kSent);
  EXPECT_EQ(send(full, 100), SendOutcome::kBlocked);
  EXPECT_EQ(send(other, 100), SendOutcome::kSent);
  EXPECT_EQ(send(other, 100), SendOutcome::kBlocked);
  EXPECT_TRUE(client.receive(frame(FrameType::kWindow, other.id(), 0, be32(500))));
  EXPECT_EQ(pair.client.events.log, Log{"writable 3"});
}

// As the bytes for servers that do not read are.
TEST_F(Flow, MessagesThatAreKeptTakeNoCreditOfTheConnection) {
  pair.enable(windows(1'000, 2'500));
  std::map<Stream*, int> kept;
  pair.server.events.react = [&](std::string_view event, Stream* stream) {
    if (event != "data") return;
    server.kept(*stream, 936);
    ++kept[stream];
  };
  std::vector<Stream*> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(&open());
  for (auto* stream : streams) {
    EXPECT_EQ(send(*stream, 936), SendOutcome::kSent);
    pair.pump();
    EXPECT_EQ(send(*stream, 0), SendOutcome::kBlocked) << "its own window is used up";
  }
  EXPECT_EQ(kept.size(), 20u);
  // The credit of the connection comes back once, whether a message is consumed or its stream ends.
  int i = 0;
  for (auto& [stream, count] : kept) {
    if (i++ % 2 == 0)
      server.consumed(*stream, 936);
    else
      server.respond(*stream, {}, {});
  }
  pair.pump();
  for (int round = 0; round < 20; ++round) {
    auto& stream = open();
    EXPECT_EQ(send(stream, 936), SendOutcome::kSent) << round;
    pair.pump();
  }
  expect_well();
}

TEST_F(Flow, ACancelledStreamIsNotWoken) {
  Peer server({});
  server.endpoint.enable(windows(10, 10'000));
  server.events.react = [&](std::string_view event, Stream* stream) {
    if (event != "request") return;
    EXPECT_EQ(server.endpoint.send_data(*stream, "0123456789"sv), SendOutcome::kSent);
    EXPECT_EQ(server.endpoint.send_data(*stream, "more"sv), SendOutcome::kBlocked);
  };
  EXPECT_TRUE(server.endpoint.receive(request(1) + frame(FrameType::kCancel, 1, 0, be32(1)) +
                                      frame(FrameType::kWindow, 1, 0, be32(1'000))));
  EXPECT_EQ(server.events.log, (Log{"request 1 a.B/C", "cancel 1 CANCELLED"}));
}

// A caller that opens and cancels streams for ever, and never grants credit.
TEST_F(Flow, StreamsThatEndBlockedLeaveNothingBehind) {
  Peer server({});
  server.endpoint.enable(windows(1, 1));
  server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "request") {
      while (server.endpoint.send_data(*stream, "x"sv) == SendOutcome::kSent) continue;
    }
    if (event == "cancel") server.endpoint.forget(*stream);
    server.events.log.clear();
  };
  std::uint32_t id = 1;
  const auto open_and_cancel = [&](int times) {
    for (int i = 0; i < times; ++i, id += 2) {
      ASSERT_TRUE(server.endpoint.receive(request(id) + frame(FrameType::kCancel, id, 0, be32(1))));
      take_output(server.endpoint);
    }
  };
  open_and_cancel(100);
  const auto before = ::mallinfo2().uordblks;
  open_and_cancel(10'000);
  EXPECT_LT(::mallinfo2().uordblks, before + 1'000);
  EXPECT_EQ(server.endpoint.open_streams(), 0u);
}

// A stream whose window opens is woken alone: what the others wait for has not changed.
TEST_F(Flow, OnlyTheStreamThatGotCreditIsWoken) {
  pair.enable(windows(100, 100'000));
  auto &first = open(), &second = open();
  for (auto* stream : {&first, &second}) {
    EXPECT_EQ(send(*stream, 100), SendOutcome::kSent);
    EXPECT_EQ(send(*stream, 100), SendOutcome::kBlocked);
  }
  EXPECT_TRUE(client.receive(frame(FrameType::kWindow, second.id(), 0, be32(500))));
  EXPECT_EQ(pair.client.events.log, Log{"writable 3"});
  EXPECT_TRUE(client.receive(frame(FrameType::kWindow, first.id(), 0, be32(500))));
  EXPECT_EQ(pair.client.events.log, (Log{"writable 3", "writable 1"}));
}

// Credit that comes while the output is full wakes its stream once there is room.
TEST_F(Flow, CreditThatComesToAFullOutputIsNotForgotten) {
  Peer server({.output_watermark = 200});
  server.endpoint.enable(windows(100, 100'000));
  std::map<std::uint32_t, Stream*> streams;
  server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "request") streams[stream->id()] = stream;
  };
  EXPECT_TRUE(server.endpoint.receive(request(1) + request(3)));
  EXPECT_EQ(server.endpoint.send_data(*streams[1], message(100)), SendOutcome::kSent);
  EXPECT_EQ(server.endpoint.send_data(*streams[1], message(100)), SendOutcome::kBlocked) << "no credit";
  EXPECT_EQ(server.endpoint.send_data(*streams[3], message(300)), SendOutcome::kSent);
  server.events.log.clear();
  EXPECT_TRUE(server.endpoint.receive(frame(FrameType::kWindow, 1, 0, be32(500))));
  EXPECT_EQ(server.events.log, Log{}) << "no room";
  take_output(server.endpoint);
  server.endpoint.output_drained();
  EXPECT_EQ(server.events.log, Log{"writable 1"});
}

TEST_F(Flow, ASuspendedEndpointTakesNoFrameAndSendsNothing) {
  Peer server({});
  Stream* stream = nullptr;
  server.events.react = [&](std::string_view event, Stream* of) {
    if (event != "request") return;
    stream = of;
    server.endpoint.suspend();
  };
  const auto input = request(1) + request(3);
  EXPECT_TRUE(server.endpoint.receive(input));
  EXPECT_EQ(server.events.log, Log{"request 1 a.B/C"}) << "it stops behind the frame";
  EXPECT_EQ(server.endpoint.unread(), request(3));
  EXPECT_EQ(server.endpoint.send_data(*stream, "x"sv), SendOutcome::kBlocked);
  server.endpoint.output_drained();
  EXPECT_EQ(server.events.log.size(), 1u);
  server.endpoint.resume();
  server.endpoint.output_drained();
  EXPECT_TRUE(server.endpoint.receive(server.endpoint.unread()));
  EXPECT_EQ(server.events.log, (Log{"request 1 a.B/C", "writable 1", "request 3 a.B/C"}));
}

TEST_F(Flow, ACancelledStreamIsGrantedNothing) {
  Peer server({});
  server.endpoint.enable(windows(100, 100));
  server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "cancel") server.endpoint.consumed(*stream, 90);
  };
  EXPECT_TRUE(server.endpoint.receive(request(1, kRemoteOpen) + data(1, message(90)) +
                                      frame(FrameType::kCancel, 1, 0, be32(1))));
  EXPECT_EQ(take_frames(server.endpoint), Log{"Window 0 #4"})
      << "the connection's credit comes back, the stream is silent";
}

TEST_F(Flow, ASideThatWasClosedIsNotWoken) {
  pair.enable(windows(100, 10'000));
  auto& stream = open();
  EXPECT_EQ(send(stream, 100), SendOutcome::kSent);
  EXPECT_EQ(send(stream, 100), SendOutcome::kBlocked);
  client.close_send(stream);
  EXPECT_TRUE(client.receive(frame(FrameType::kWindow, 1, 0, be32(500))));
  EXPECT_TRUE(pair.client.events.log.empty());
}

// Both sides write far more than every window, both only as far as they may: everything arrives.
TEST_F(Flow, HeavyTrafficBothWaysDoesNotLockUp) {
  pair.enable(windows(3'000, 7'000));
  constexpr std::size_t kMessages = 300;
  const auto writer = [&](Endpoint& endpoint, std::size_t& sent) {
    return [&](Stream& stream) {
      while (sent < kMessages && endpoint.send_data(stream, message(1'000)) == SendOutcome::kSent) ++sent;
    };
  };
  std::size_t up = 0, down = 0, received_up = 0, received_down = 0;
  const auto write_up = writer(client, up), write_down = writer(server, down);
  pair.server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "data") ++received_up, server.consumed(*stream, 1'000);
    if (event == "request" || event == "writable") write_down(*stream);
  };
  pair.client.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "data") ++received_down, client.consumed(*stream, 1'000);
    if (event == "writable") write_up(*stream);
  };
  write_up(open());
  pair.pump(509);
  EXPECT_EQ(received_up, kMessages);
  EXPECT_EQ(received_down, kMessages);
  expect_well();
}

}  // namespace
}  // namespace hostcall::wire
