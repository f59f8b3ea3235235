// Diagnostics: echoes that wait for a time that the test moves, and streams in all shapes, with their limits.
#include "daemon/services/diagnostics_service.h"

#include <deque>
#include <memory>
#include <optional>

#include "hostcall/v1/diagnostics.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "tests/support/frames.h"
#include "tests/unit/daemon/services/fixture.h"
#include "tests/unit/daemon/services/one_session.h"

namespace hostcall::daemon {
namespace {

using test::WireClient;
using v1::Diagnostics::Echo;
using v1::Diagnostics::EchoStream;
using v1::Diagnostics::Sink;
using v1::Diagnostics::Source;

constexpr Duration kTick = milliseconds(1);
constexpr std::size_t kKiB = 1024;

v1::EchoRequest echo_request(const std::string& payload, std::uint32_t delay_ms = 0) {
  v1::EchoRequest request;
  request.set_payload(payload);
  request.set_delay_ms(delay_ms);
  return request;
}

v1::SourceRequest source_request(std::uint64_t total, std::uint32_t chunk) {
  v1::SourceRequest request;
  request.set_total_bytes(total);
  request.set_chunk_bytes(chunk);
  return request;
}

class DiagnosticsTest : public test::ServicesFixture {
 protected:
  DiagnosticsTest() {
    register_diagnostics_service(rig_.router, rig_.reactor);
    rig_.router.protocol<v1::Session::Hello>(Audience::kGuest);
    rig_.start();
  }
  void small_memory(const std::string& vm) {
    limit(vm, [](Limits& limits) {
      limits.memory_bytes = 64 * kKiB;
      limits.message_bytes = 48 * kKiB;
    });
  }
};

// ---------------------------------------------------------------- Echo

TEST_F(DiagnosticsTest, EchoesAtOnce) {
  const auto caller = peer("web1");
  EXPECT_EQ(must<Echo>(*caller, echo_request("hello")).payload(), "hello");
  EXPECT_EQ(must<Echo>(*caller, echo_request("")).payload(), "");
}

TEST_F(DiagnosticsTest, AnEchoWaitsExactlyAsLongAsItWasAsked) {
  const auto caller = peer("web1");
  const auto stream = start<Echo>(*caller, echo_request("later", 1500));
  EXPECT_EQ(used("web1", Resource::kMemory), 5u) << "its payload is kept meanwhile";
  EXPECT_EQ(used("web1", Resource::kStreams), 1u);
  advance(milliseconds(1500) - kTick);
  EXPECT_TRUE(is_quiet(*caller));
  advance(kTick);
  EXPECT_EQ(finish<Echo>(*caller, stream).message.payload(), "later");
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
}

TEST_F(DiagnosticsTest, ADelayHasALimit) {
  const auto caller = peer("web1");
  expect_refused(call<Echo>(*caller, echo_request("", 60'001)).status, Code::kInvalidArgument,
                 "delay_ms is 60001, at most 60000 is allowed");
  const auto stream = start<Echo>(*caller, echo_request("", 60'000), seconds(61));
  advance(seconds(60));
  EXPECT_TRUE(finish<Echo>(*caller, stream).status.ok());
}

TEST_F(DiagnosticsTest, ADeadlineComesBeforeTheDelay) {
  const auto caller = peer("web1");
  const auto stream = start<Echo>(*caller, echo_request("never", 1000), milliseconds(400));
  advance(milliseconds(400) - kTick);
  EXPECT_TRUE(is_quiet(*caller));
  advance(kTick);
  EXPECT_EQ(finish<Echo>(*caller, stream).status.code, Code::kDeadlineExceeded);
  EXPECT_EQ(rig_.stats.calls_timed_out, 1u);
  advance(seconds(1));
  EXPECT_TRUE(is_quiet(*caller)) << "its timer went with the call";
}

TEST_F(DiagnosticsTest, ACancelledEchoIsForgotten) {
  const auto caller = guest("web1");
  const auto stream = start<Echo>(*caller, echo_request("never", 1000));
  caller->cancel(stream);
  settle();
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
  EXPECT_EQ(used("web1", Resource::kStreams), 0u);
  advance(seconds(1));
  EXPECT_TRUE(is_quiet(*caller));
}

TEST_F(DiagnosticsTest, EchoesThatWaitAreChargedAsMemory) {
  small_memory("web1");
  const auto caller = peer("web1");
  const std::string payload(40 * kKiB, 'm');
  const auto first = start<Echo>(*caller, echo_request(payload, 1000));
  expect_refused(call<Echo>(*caller, echo_request(payload, 1000)).status, Code::kResourceExhausted,
                 "VM \"web1\": the limit memory_bytes is reached; send less at once");
  EXPECT_EQ(used("web1", Resource::kMemory), payload.size());
  advance(seconds(1));
  EXPECT_EQ(finish<Echo>(*caller, first).message.payload(), payload);
  EXPECT_TRUE(call<Echo>(*caller, echo_request(payload)).status.ok());
}

// ---------------------------------------------------------------- EchoStream

TEST_F(DiagnosticsTest, EchoesAStreamInOrderAndIgnoresDelays) {
  const auto caller = guest("web1");
  const auto stream = start<EchoStream>(*caller);
  for (const auto* text : {"a", "b", "c"}) {
    ASSERT_TRUE(caller->send(stream, echo_request(text, 60'001)));
    EXPECT_EQ(receive<EchoStream>(*caller, stream)->payload(), text);
    EXPECT_EQ(used("web1", Resource::kMemory), 0u) << "what was sent is not held any more";
  }
  caller->close_send(stream);
  EXPECT_TRUE(finish<EchoStream>(*caller, stream).status.ok());
}

TEST_F(DiagnosticsTest, WhatIsNotTakenWaitsAndIsSentAfterTheEndToo) {
  const auto caller = guest("web1");
  const auto stream = start<EchoStream>(*caller);
  constexpr std::size_t kMessages = 70;  // of 8 KiB: more than the window of 384 KiB
  for (std::size_t i = 0; i < kMessages; ++i)
    ASSERT_TRUE(caller->send(stream, echo_request(std::string(8 * kKiB, static_cast<char>('A' + i)))));
  caller->close_send(stream);
  settle();
  EXPECT_GT(used("web1", Resource::kMemory), 100 * kKiB);
  for (std::size_t i = 0; i < kMessages; ++i) {
    const auto message = receive<EchoStream>(*caller, stream);
    ASSERT_TRUE(message) << i;
    ASSERT_EQ(message->payload().front(), static_cast<char>('A' + i));
  }
  EXPECT_TRUE(finish<EchoStream>(*caller, stream).status.ok());
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
}

TEST_F(DiagnosticsTest, WhatWaitsInAStreamIsChargedAsMemory) {
  small_memory("web1");
  const auto caller = guest("web1");
  const auto stream = start<EchoStream>(*caller);
  std::size_t sent = 0;
  while (sent < 100 && caller->send(stream, echo_request(std::string(8 * kKiB, 'm')))) {
    settle();
    ++sent;
  }
  EXPECT_LT(sent, 100u);
  expect_refused(finish<EchoStream>(*caller, stream).status, Code::kResourceExhausted,
                 "VM \"web1\": the limit memory_bytes is reached");
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
}

// Lets nothing through until it is open, and counts what it is asked.
class ClosedCall final : public Call {
 public:
  wire::SendOutcome send(const wire::Payload&) override {
    ++sends;
    return open ? wire::SendOutcome::kSent : wire::SendOutcome::kBlocked;
  }
  bool may_send(std::size_t) override {
    ++asks;
    return open;
  }
  void pass() override {}
  Status reserve_reply(std::size_t) override { return {}; }
  void reply(const google::protobuf::MessageLite&) override {}
  void finish(const Status& status) override { finished = status; }
  void pass_on(const Status& status, std::string_view) override { finished = status; }
  void consumed(std::size_t) override { ++consumed_messages; }
  void kept(std::size_t) override {}

  bool open = false;
  int asks = 0, sends = 0, consumed_messages = 0;
  std::optional<Status> finished;
};

// Each try would parse and copy the first one again, which the messages behind it do not pay for.
TEST_F(DiagnosticsTest, EventsOfAStreamThatWaitsCostNothing) {
  test::OneSession session(1);
  const Caller caller{.vm = rig_.registry.find("web1"), .peer = {}, .listener = {}};
  const CallContext context{
      .caller = caller, .session = session, .now = {}, .deadline = kNever, .max_message_bytes = 1 << 20};
  Handler handler;
  ASSERT_TRUE(rig_.router.find(EchoStream::kService, EchoStream::kMethod)->start(context, {}, handler).status.ok());
  ClosedCall call;
  handler->begin(call);
  handler->on_message(echo_request(std::string(250 * kKiB, 'm')).SerializeAsString());
  for (int i = 0; i < 1000; ++i) handler->on_message({});
  handler->on_remote_closed();
  EXPECT_EQ(call.asks, 1);
  EXPECT_EQ(call.sends, 0);
  EXPECT_FALSE(call.finished);
  handler->on_writable();
  EXPECT_EQ(call.asks, 2);
  EXPECT_EQ(call.sends, 0);
  call.open = true;
  handler->on_writable();
  EXPECT_EQ(call.sends, 1001);
  EXPECT_EQ(call.consumed_messages, 1001);
  ASSERT_TRUE(call.finished);
  EXPECT_TRUE(call.finished->ok());
}

// A message without bytes takes memory too.
TEST_F(DiagnosticsTest, EmptyMessagesThatWaitAreCharged) {
  const auto caller = guest("web1");
  const auto stream = start<EchoStream>(*caller);
  for (int i = 0; i < 9000; ++i) ASSERT_TRUE(caller->send(stream, echo_request("")));
  settle();
  EXPECT_GT(used("web1", Resource::kMemory), 100 * sizeof(std::string)) << "more than a window of them";
}

TEST_F(DiagnosticsTest, ACancelledStreamGivesBackWhatItHeld) {
  const auto caller = guest("web1");
  const auto stream = start<EchoStream>(*caller);
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(caller->send(stream, echo_request(std::string(8 * kKiB, 'm'))));
  settle();
  EXPECT_GT(used("web1", Resource::kMemory), 0u);
  caller->cancel(stream);
  settle();
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
  EXPECT_EQ(used("web1", Resource::kStreams), 0u);
}

TEST_F(DiagnosticsTest, AMessageThatIsNoneEndsItsStreamOnly) {
  const auto caller = guest("web1");
  const auto echo = start<EchoStream>(*caller), sink = start<Sink>(*caller);
  for (const auto stream : {echo, sink}) caller->send_raw(hostcall::test::data(stream, "\xff\xff\xff"));
  settle();
  expect_refused(finish<EchoStream>(*caller, echo).status, Code::kInvalidArgument, EchoStream::kFullName);
  expect_refused(finish<Sink>(*caller, sink).status, Code::kInvalidArgument, Sink::kFullName);
  EXPECT_TRUE(call<Echo>(*caller).status.ok());
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
}

// ---------------------------------------------------------------- Source

// What one of them gives back by its end may be what it has waited for itself.
TEST_F(DiagnosticsTest, ConnectionsThatWaitForRoomMayEndInAnyOrder) {
  for (const bool last_first : {true, false}) {
    std::deque<std::unique_ptr<WireClient>> peers;
    for (int i = 0; i < 9; ++i) {
      peers.push_back(rig_.peer("web1"));  // without Hello, so nothing but the limit of its output stops it
      start<Source>(*peers.back(), source_request(1 << 26, 16 * kKiB));
    }
    EXPECT_GT(used("web1", Resource::kOutbound), rig_.vm("web1").quota.limits().outbound_bytes / 2);
    while (!peers.empty()) {
      last_first ? peers.pop_back() : peers.pop_front();
      settle();
    }
    EXPECT_EQ(used("web1", Resource::kOutbound), 0u);
  }
}

TEST_F(DiagnosticsTest, AChunkIsChargedAsLongAsItsCall) {
  small_memory("web1");
  const auto caller = guest("web1");
  const auto stream = start<Source>(*caller, source_request(1 << 30, 40 * kKiB));
  EXPECT_EQ(used("web1", Resource::kMemory), 40 * kKiB);
  expect_refused(finish<Source>(*caller, start<Source>(*caller, source_request(1 << 30, 40 * kKiB))).status,
                 Code::kResourceExhausted, "VM \"web1\": the limit memory_bytes is reached");
  caller->cancel(stream);
  settle();
  EXPECT_EQ(used("web1", Resource::kMemory), 0u);
}

// What has ended holds no place, though its caller can't know that yet.
TEST_F(DiagnosticsTest, SourcesThatEndAtOnceDoNotAddUp) {
  small_memory("web1");
  const auto caller = guest("web1");
  for (int i = 0; i < 50; ++i)
    caller->start(Source::kFullName, source_request(10, 40 * kKiB).SerializeAsString(), wire::Shape::kServerStream);
  settle();
  EXPECT_EQ(rig_.stats.calls, 51u);
  EXPECT_EQ(sum_of(rig_.stats.limits_hit), 0u);
}

TEST_F(DiagnosticsTest, SendsWhatWasAskedForInChunks) {
  for (const bool with_windows : {true, false}) {
    const auto caller = with_windows ? guest("web1") : peer("web1");
    const auto stream = start<Source>(*caller, source_request(1'000'000, 65'000));
    std::string bytes;
    std::size_t messages = 0;
    for (auto chunk = receive<Source>(*caller, stream); chunk; chunk = receive<Source>(*caller, stream), ++messages)
      bytes += chunk->data();
    EXPECT_TRUE(finish<Source>(*caller, stream).status.ok());
    EXPECT_EQ(bytes.size(), 1'000'000u);
    EXPECT_EQ(messages, 16u);
    EXPECT_EQ(bytes.substr(65'000 + 254, 4), std::string("\xfe\xff\x00\x01", 4)) << "the pattern repeats in each";
  }
}

TEST_F(DiagnosticsTest, ASourceWaitsForItsReader) {
  const auto caller = guest("web1");
  const auto stream = start<Source>(*caller, source_request(1'000'000'000, 64'000));
  while (caller->pump()) {
  }
  EXPECT_EQ(caller->unread_bytes(stream) / 64'000, 7u) << "the last may pass the window of 384 KiB";
  EXPECT_EQ(used("web1", Resource::kOutbound), 0u);
  receive<Source>(*caller, stream);
  caller->cancel(stream);
  settle();
  EXPECT_EQ(used("web1", Resource::kStreams), 0u);
}

TEST_F(DiagnosticsTest, ASourceOfNothingEndsAtOnce) {
  const auto caller = guest("web1");
  const auto stream = start<Source>(*caller, source_request(0, 1));
  EXPECT_FALSE(receive<Source>(*caller, stream));
  EXPECT_TRUE(finish<Source>(*caller, stream).status.ok());
}

TEST_F(DiagnosticsTest, AChunkIsWithinTheMessageLimit) {
  limit("web1", [](Limits& limits) { limits.message_bytes = 8 * kKiB; });
  const auto caller = guest("web1");
  for (const auto chunk : {0u, 8u * 1024 - 63, 0xffffffffu})
    expect_refused(call<Source>(*caller, source_request(10, chunk)).status, Code::kInvalidArgument,
                   "chunk_bytes is " + std::to_string(chunk) + ", it must be 1 to 8128");
  const auto stream = start<Source>(*caller, source_request(8128, 8128));
  EXPECT_EQ(receive<Source>(*caller, stream)->data().size(), 8128u);
}

// ---------------------------------------------------------------- Sink

TEST_F(DiagnosticsTest, CountsWhatItTakes) {
  const auto caller = guest("web1");
  const auto stream = start<Sink>(*caller);
  v1::Chunk chunk;
  for (int i = 0; i < 20; ++i) {  // more than a window
    chunk.set_data(std::string(50'000, 's'));
    ASSERT_TRUE(caller->send(stream, chunk));
  }
  ASSERT_TRUE(caller->send(stream, v1::Chunk()));
  caller->close_send(stream);
  const auto reply = finish<Sink>(*caller, stream);
  ASSERT_TRUE(reply.status.ok()) << reply.status.message;
  EXPECT_EQ(reply.message.total_bytes(), 1'000'000u);
  EXPECT_EQ(reply.message.messages(), 21u);
}

TEST_F(DiagnosticsTest, ASinkThatNothingCameToHasCountedNothing) {
  const auto caller = guest("web1");
  const auto stream = start<Sink>(*caller);
  caller->close_send(stream);
  EXPECT_EQ(finish<Sink>(*caller, stream).message.messages(), 0u);
}

// It reads messages in place, and must find in them what protobuf would.
TEST_F(DiagnosticsTest, ReadsAChunkAsProtobufDoes) {
  const std::string chunks[] = {
      "",                                              // no data
      std::string("\x0a\x00", 2),                      // empty data
      "\x0a\x03xyz",                                   // data
      "\x0a\x03xyz\x0a\x01z",                          // twice: the last counts
      "\x48\x07\x0a\x02xy",                            // an unknown field first
      "\x0a\x02xy\x52\x01q",                           // and behind
      std::string("\x08\x01", 2),                      // field 1 of another type
      "\x0a",                                          // no length
      "\x0a\x05xy",                                    // cut off
      "\x0a\xff\xff\xff\xff\x0f",                      // 4 GiB
      "\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",  // a length without an end
      "\x4b\x0a\x01x\x4c",                             // a group
      "\x4b\x0a\x01x",                                 // without its end
      "\x4c",                                          // an end without a group
      "\x0f",                                          // an unknown type
      std::string("\x00\x00", 2),                      // field 0
  };
  const auto caller = guest("web1");
  for (const auto& bytes : chunks) {
    v1::Chunk expected;
    const bool good = expected.ParseFromString(bytes);
    const auto stream = start<Sink>(*caller);
    caller->send_raw(hostcall::test::data(stream, bytes));
    if (good) caller->close_send(stream);
    const auto reply = finish<Sink>(*caller, stream);
    EXPECT_EQ(reply.status.code, good ? Code::kOk : Code::kInvalidArgument) << testing::PrintToString(bytes);
    EXPECT_EQ(reply.message.total_bytes(), expected.data().size() * good) << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace hostcall::daemon
