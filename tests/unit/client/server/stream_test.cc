#include <gmock/gmock.h>

#include <stdexcept>

#include "tests/support/frames.h"
#include "tests/unit/client/server/server_rig.h"

namespace hostcall::test {
namespace {

using testing::ElementsAre;
using wire::Code;
using wire::Shape;

class StreamTest : public BothProtocols {
 protected:
  // Answers with the number of messages and their bytes.
  void serve_sink() {
    server->serve_stream<Sink>([](const ServerStream<Sink>& stream) {
      const auto sum = std::make_shared<v1::SinkResponse>();
      stream.on_message([sum](const v1::Chunk& message) {
        sum->set_messages(sum->messages() + 1);
        sum->set_total_bytes(sum->total_bytes() + message.data().size());
      });
      stream.on_remote_closed([stream, sum] { stream.finish(*sum); });
    });
  }
  // Keeps the stream and the messages.
  void serve_kept() {
    server->serve_stream<EchoStream>([this](const ServerStream<EchoStream>& stream) {
      kept.emplace(stream);
      stream.on_message([this](const v1::EchoRequest& message) { got.push_back(message.payload()); });
      stream.on_remote_closed([this] { got.push_back("(closed)"); });
      stream.on_cancel([this] { got.push_back("(cancelled)"); });
    });
  }

  std::optional<ServerStream<EchoStream>> kept;
  std::vector<std::string> got;
};
INSTANTIATE_TEST_SUITE_P(Both, StreamTest, testing::Bool(), protocol_name);

TEST_P(StreamTest, ClientStreaming) {
  start();
  serve_sink();
  const auto client = caller();
  const auto call = client->start(Sink::kFullName, {}, Shape::kClientStream);
  for (const auto size : {0u, 1u, 100'000u, 200'000u}) EXPECT_TRUE(client->send(call, chunk(std::string(size, 'x'))));
  client->close_send(call);
  const auto answer = client->finish(call);
  v1::SinkResponse sum;
  ASSERT_TRUE(sum.ParseFromString(answer.payload));
  EXPECT_EQ(sum.messages(), 4u);
  EXPECT_EQ(sum.total_bytes(), 300'001u);
}

TEST_P(StreamTest, TheFirstMessageMayComeWithTheRequest) {
  start();
  serve_sink();
  const auto client = caller();
  const auto call = client->start(Sink::kFullName, chunk("first").SerializeAsString(), Shape::kClientStream);
  EXPECT_TRUE(client->send(call, chunk("second")));
  client->close_send(call);
  v1::SinkResponse sum;
  ASSERT_TRUE(sum.ParseFromString(client->finish(call).payload));
  EXPECT_EQ(sum.messages(), 2u);
  EXPECT_EQ(sum.total_bytes(), 11u);
}

TEST_P(StreamTest, ServerStreaming) {
  start();
  server->serve_stream<Source>([](const ServerStream<Source>& stream, const v1::SourceRequest& request) {
    for (std::uint64_t i = 0; i < request.total_bytes(); ++i)
      EXPECT_EQ(stream.try_send(chunk(std::to_string(i))), Progress::kDone);
    if (request.chunk_bytes() != 0) return stream.finish(Status{hostcall::Code::kAborted, "half way", {}, false});
    stream.finish(Status{});
    EXPECT_EQ(stream.try_send(chunk("late")), Progress::kEnded);
  });
  const auto client = caller();
  v1::SourceRequest request;
  request.set_total_bytes(3);
  auto answer = client->finish(client->start(Source::kFullName, request.SerializeAsString(), Shape::kServerStream));
  EXPECT_TRUE(answer.status.ok());
  std::vector<std::string> data;
  for (const auto& bytes : answer.messages) {
    v1::Chunk message;
    ASSERT_TRUE(message.ParseFromString(bytes));
    data.push_back(message.data());
  }
  EXPECT_THAT(data, ElementsAre("0", "1", "2"));
  request.set_chunk_bytes(1);
  answer = client->finish(client->start(Source::kFullName, request.SerializeAsString(), Shape::kServerStream));
  EXPECT_EQ(answer.status.code, Code::kAborted);
  EXPECT_EQ(answer.messages.size(), 3u);
}

TEST_P(StreamTest, BothWays) {
  start();
  server->serve_stream<EchoStream>([](const ServerStream<EchoStream>& stream) {
    stream.on_message([stream](const v1::EchoRequest& message) {
      v1::EchoResponse reply;
      reply.set_payload(message.payload());
      EXPECT_EQ(stream.try_send(reply), Progress::kDone);
      if (message.payload() == "stop") stream.finish(Status{});
    });
    stream.on_remote_closed([stream] { stream.finish(Status{}); });
  });
  const auto client = caller();
  for (const bool from_server : {false, true}) {
    const auto call = client->start(EchoStream::kFullName, {}, Shape::kBidiStream);
    for (const auto* text : {"a", "b", from_server ? "stop" : "c"}) {
      ASSERT_TRUE(client->send(call, echo_request(text)));
      const auto reply = client->receive(call);
      ASSERT_TRUE(reply);
      EXPECT_EQ(echoed(*reply), text);
    }
    if (!from_server) client->close_send(call);
    EXPECT_TRUE(client->finish(call).status.ok());
  }
}

// A stream of more than all buffers, whose handler goes on whenever it may.
TEST_P(StreamTest, GoesOnWhenTheCallerReads) {
  constexpr int kMessages = 200;
  start();
  int sent = 0;
  int blocked = 0;
  server->serve_stream<Source>([&](const ServerStream<Source>& stream, const v1::SourceRequest&) {
    const auto pump_out = [&, stream] {
      while (sent < kMessages) {
        const auto progress = stream.try_send(chunk(std::string(32 * 1024, 's')));
        blocked += progress == Progress::kWouldBlock;
        if (progress != Progress::kDone) return;
        ++sent;
      }
      stream.finish(Status{});
    };
    stream.on_writable(pump_out);
    pump_out();
  });
  const auto client = caller();
  const auto call = client->start(Source::kFullName, {}, Shape::kServerStream);
  int received = 0;
  while (client->receive(call)) ++received;
  EXPECT_EQ(received, kMessages);
  EXPECT_GT(blocked, 0);
  EXPECT_TRUE(client->finish(call).status.ok());
}

TEST_P(StreamTest, PausedMessagesWaitInOrder) {
  start();
  serve_kept();
  const auto client = caller();
  const auto call = client->start(EchoStream::kFullName, echo_request("0").SerializeAsString(), Shape::kBidiStream);
  pump();
  ASSERT_TRUE(kept);
  kept->pause();
  for (const auto* text : {"1", "2", "3"}) EXPECT_TRUE(client->send(call, echo_request(text)));
  client->close_send(call);
  pump();
  EXPECT_THAT(got, ElementsAre("0"));
  kept->resume();
  EXPECT_THAT(got, ElementsAre("0")) << "not from within resume()";
  EXPECT_EQ(server->timeout(), milliseconds(0));
  pump();
  EXPECT_THAT(got, ElementsAre("0", "1", "2", "3", "(closed)"));
  kept->finish(Status{});
  EXPECT_TRUE(client->finish(call).status.ok());
}

TEST_P(StreamTest, MessagesWaitForTheirCallback) {
  start();
  server->serve_stream<EchoStream>([this](const ServerStream<EchoStream>& stream) { kept.emplace(stream); });
  const auto client = caller();
  const auto call =
      client->start(EchoStream::kFullName, echo_request("with the request").SerializeAsString(), Shape::kBidiStream);
  EXPECT_TRUE(client->send(call, echo_request("behind")));
  pump();
  ASSERT_TRUE(kept);
  kept->on_message([this](const v1::EchoRequest& message) {
    got.push_back(message.payload());
    if (got.size() == 1) kept->pause();
  });
  pump();
  EXPECT_THAT(got, ElementsAre("with the request"));
  kept->resume();
  pump();
  EXPECT_THAT(got, ElementsAre("with the request", "behind"));
}

// A handler that takes no messages holds its caller up; what waits is bounded by the window, or by the connection's
// bound.
TEST_P(StreamTest, ACallerThatIsNotReadIsHeldUp) {
  start();
  serve_kept();
  const auto client = caller();
  const auto call = client->start(EchoStream::kFullName, {}, Shape::kBidiStream);
  pump();
  ASSERT_TRUE(kept);
  kept->pause();
  const auto message = echo_request(std::string(16 * 1024, 'm'));
  int sent = 0;
  while (sent < 1000 && client->send(call, message) && client->endpoint().output().empty()) ++sent;
  EXPECT_LT(sent, 100) << "1.6 MB";
  kept->resume();
  const auto before = got.size();
  for (int round = 0; round < 20; ++round) (void)client->pump(milliseconds(0));
  EXPECT_GT(got.size(), before);
  EXPECT_TRUE(client->send(call, message)) << "goes on";
}

TEST_P(StreamTest, AStreamThatIsHeldUpHoldsUpNoOtherWithWindows) {
  if (!GetParam()) GTEST_SKIP() << "a base connection is held up as a whole";
  start();
  serve_kept();
  serve_echo();
  const auto client = caller();
  std::vector<ServerStream<EchoStream>> all;
  const auto message = echo_request(std::string(100 * 1024, 'm'));
  for (int stream = 0; stream < 5; ++stream) {
    const auto call = client->start(EchoStream::kFullName, {}, Shape::kBidiStream);
    pump();
    kept->pause();
    all.push_back(*kept);
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(client->send(call, message));
  }
  EXPECT_TRUE(client->call(Echo::kFullName).status.ok());
  const auto call = client->start(EchoStream::kFullName, {}, Shape::kBidiStream);
  ASSERT_TRUE(client->send(call, echo_request("through")));
  pump();
  EXPECT_THAT(got, ElementsAre("through")) << "2 MB wait, twice the connection's window";
}

TEST_P(StreamTest, AMessageThatDoesNotParseEndsTheCall) {
  start();
  serve_kept();
  const auto client = caller();
  const auto call = client->start(EchoStream::kFullName, {}, Shape::kBidiStream);
  EXPECT_TRUE(client->send(call, echo_request("fine")));
  // Field 1 claims more bytes than there are.
  const std::string garbage("\x0a\x05x", 3);
  client->send_raw(data(call, garbage));
  EXPECT_EQ(client->finish(call).status.code, Code::kInvalidArgument);
  EXPECT_THAT(got, ElementsAre("fine", "(cancelled)"));
  const auto second = client->start(EchoStream::kFullName, garbage, Shape::kBidiStream);
  EXPECT_EQ(client->finish(second).status.code, Code::kInvalidArgument);
}

TEST_P(StreamTest, AMessageOfTooManyFieldsEndsTheCall) {
  options.max_message_fields = 10;
  start();
  serve_kept();
  const auto client = caller();
  std::string fields;
  for (int i = 0; i < 10; ++i) fields += std::string("\x10\x00", 2);
  const auto call = client->start(EchoStream::kFullName, fields, Shape::kBidiStream);
  pump();
  EXPECT_THAT(got, ElementsAre(""));
  client->send_raw(data(call, fields + std::string("\x10\x00", 2)));
  const auto answer = client->finish(call);
  EXPECT_EQ(answer.status.code, Code::kInvalidArgument);
  EXPECT_THAT(answer.status.message, testing::HasSubstr("max_message_fields (10)"));
}

TEST_P(StreamTest, AnExceptionOfACallbackEndsItsCall) {
  start();
  bool cancelled = false;
  server->serve_stream<EchoStream>([&](const ServerStream<EchoStream>& stream) {
    stream.on_message([](const v1::EchoRequest&) { throw std::runtime_error("secret"); });
    stream.on_cancel([&cancelled, stream] { cancelled = stream.cancelled(); });
  });
  const auto client = caller();
  const auto call = client->start(EchoStream::kFullName, {}, Shape::kBidiStream);
  EXPECT_TRUE(client->send(call, echo_request("x")));
  EXPECT_EQ(client->finish(call).status.code, Code::kInternal);
  EXPECT_TRUE(cancelled);
  EXPECT_THAT(errors, ElementsAre("hostcall.v1.Diagnostics/EchoStream|secret"));
}

// Callbacks that hold their own stream let go of it at the end, however it comes.
TEST_P(StreamTest, CallbacksAreDroppedAtTheEnd) {
  start();
  const auto token = std::make_shared<int>(0);
  server->serve_stream<EchoStream>([token](const ServerStream<EchoStream>& stream) {
    stream.on_message([stream, token](const v1::EchoRequest& message) {
      if (message.payload() == "finish") stream.finish(Status{});
    });
    stream.on_writable([stream, token] {});
    stream.on_remote_closed([stream, token] {});
    stream.on_cancel([stream, token] {});
  });
  auto client = caller();
  const auto idle = token.use_count();
  const auto finished = client->start(EchoStream::kFullName, {}, Shape::kBidiStream);
  EXPECT_TRUE(client->send(finished, echo_request("go on")));
  pump();
  EXPECT_EQ(token.use_count(), idle + 4);
  EXPECT_TRUE(client->send(finished, echo_request("finish")));
  EXPECT_TRUE(client->finish(finished).status.ok());
  EXPECT_EQ(token.use_count(), idle);
  const auto timed = client->start(EchoStream::kFullName, {}, Shape::kBidiStream, seconds(1));
  pump();
  EXPECT_EQ(token.use_count(), idle + 4);
  advance(seconds(1));
  EXPECT_EQ(client->finish(timed).status.code, Code::kDeadlineExceeded);
  EXPECT_EQ(token.use_count(), idle);
  client->start(EchoStream::kFullName, {}, Shape::kBidiStream);
  pump();
  client.reset();
  pump();
  EXPECT_EQ(token.use_count(), idle);
}

TEST_P(StreamTest, ACallbackMayReplaceItselfAndDropItsStream) {
  start();
  server->serve_stream<EchoStream>([this](const ServerStream<EchoStream>& stream) {
    kept.emplace(stream);
    stream.on_message([this, text = std::string(100, 'c')](const v1::EchoRequest& message) {
      kept->on_message([this, text](const v1::EchoRequest& next) {
        kept.reset();
        got.push_back(next.payload() + text.substr(0, 1));
      });
      got.push_back(message.payload() + text.substr(0, 1));
    });
  });
  const auto client = caller();
  const auto call = client->start(EchoStream::kFullName, {}, Shape::kBidiStream);
  EXPECT_TRUE(client->send(call, echo_request("1")));
  EXPECT_TRUE(client->send(call, echo_request("2")));
  EXPECT_EQ(client->finish(call).status.code, Code::kInternal) << "nobody has it any more";
  EXPECT_THAT(got, ElementsAre("1c", "2c"));
}

TEST_P(StreamTest, CancelReachesTheHandler) {
  if (!GetParam()) GTEST_SKIP() << "a base caller closes its connection";
  start();
  serve_kept();
  const auto client = caller();
  const auto call = client->start(EchoStream::kFullName, {}, Shape::kBidiStream);
  EXPECT_TRUE(client->send(call, echo_request("1")));
  client->cancel(call);
  pump();
  EXPECT_THAT(got, ElementsAre("1", "(cancelled)"));
  EXPECT_TRUE(kept->cancelled());
  EXPECT_EQ(kept->try_send(v1::EchoResponse()), Progress::kEnded);
}

// What waits for a paused handler is dropped with its call.
TEST_P(StreamTest, ACancelledStreamGivesItsMemoryBack) {
  options.max_memory_bytes = 300 * 1024;
  start();
  serve_kept();
  for (int round = 0; round < 3; ++round) {
    auto client = caller();
    const auto call = client->start(EchoStream::kFullName, {}, Shape::kBidiStream);
    pump();
    kept->pause();
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(client->send(call, echo_request(std::string(50 * 1024, 'm'))));
    pump();
    EXPECT_FALSE(kept->ended());
    client.reset();
    pump();
    EXPECT_TRUE(kept->cancelled());
  }
}

TEST_P(StreamTest, MessagesBeyondTheMemoryEndTheirCall) {
  options.max_memory_bytes = 100 * 1024;
  start();
  serve_kept();
  const auto client = caller();
  const auto call = client->start(EchoStream::kFullName, {}, Shape::kBidiStream);
  pump();
  kept->pause();
  for (int i = 0; i < 3; ++i) (void)client->send(call, echo_request(std::string(50 * 1024, 'm')));
  const auto answer = client->finish(call);
  EXPECT_EQ(answer.status.code, Code::kResourceExhausted);
  EXPECT_THAT(answer.status.message, testing::HasSubstr("max_memory_bytes"));
  EXPECT_THAT(got, ElementsAre("(cancelled)"));
}

}  // namespace
}  // namespace hostcall::test
