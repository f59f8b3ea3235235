// The streaming shapes through the real daemon, with windows and as plain ttrpc.
#include <gtest/gtest.h>

#include "hostcall/v1/diagnostics.pb.h"
#include "tests/support/daemon_process.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

using wire::Code;
using wire::Shape;

enum class Mode { kPlain, kExtended, kChecksums };

class Streams : public testing::TestWithParam<Mode> {
 protected:
  Streams() : client_(daemon_.vm_address("web1")) {
    if (GetParam() != Mode::kPlain)
      client_.hello("boot-1", GetParam() == Mode::kChecksums ? std::uint64_t{0} : std::uint64_t{wire::kFeatureCrc32c});
  }
  DaemonProcess daemon_;
  WireClient client_;
};

std::string source_request(std::uint64_t total, std::uint32_t chunk) {
  v1::SourceRequest request;
  request.set_total_bytes(total);
  request.set_chunk_bytes(chunk);
  return request.SerializeAsString();
}

TEST_P(Streams, ServerStreamBringsEveryByteInOrder) {
  constexpr std::uint64_t kTotal = 5'000'001;
  const auto stream =
      client_.start("hostcall.v1.Diagnostics/Source", source_request(kTotal, 60'000), Shape::kServerStream);
  std::uint64_t total = 0;
  while (const auto message = client_.receive(stream)) {
    v1::Chunk chunk;
    ASSERT_TRUE(chunk.ParseFromString(*message));
    for (std::size_t i = 0; i < chunk.data().size(); i += 997)
      ASSERT_EQ(static_cast<unsigned char>(chunk.data()[i]), i % 256);
    total += chunk.data().size();
  }
  const auto answer = client_.finish(stream);
  EXPECT_TRUE(answer.arrived);
  EXPECT_EQ(answer.status.code, Code::kOk) << answer.status.message;
  EXPECT_EQ(total, kTotal);
}

TEST_P(Streams, ClientStreamIsCounted) {
  const auto stream = client_.start("hostcall.v1.Diagnostics/Sink", "", Shape::kClientStream);
  v1::Chunk chunk;
  chunk.set_data(std::string(50'000, 'x'));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client_.send(stream, chunk));
  client_.close_send(stream);
  const auto answer = client_.finish(stream);
  ASSERT_EQ(answer.status.code, Code::kOk) << answer.status.message;
  v1::SinkResponse response;
  ASSERT_TRUE(response.ParseFromString(answer.payload));
  EXPECT_EQ(response.total_bytes(), 5'000'000U);
  EXPECT_EQ(response.messages(), 100U);
}

TEST_P(Streams, BidiStreamEchoesInOrder) {
  const auto stream = client_.start("hostcall.v1.Diagnostics/EchoStream", "", Shape::kBidiStream);
  for (int i = 0; i < 200; ++i) {
    v1::EchoRequest request;
    request.set_payload(std::to_string(i) + std::string(1000, 'x'));
    ASSERT_TRUE(client_.send(stream, request));
    if (i % 3 != 0) continue;
    const auto message = client_.receive(stream);
    ASSERT_TRUE(message);
    v1::EchoResponse response;
    ASSERT_TRUE(response.ParseFromString(*message));
    EXPECT_TRUE(response.payload().starts_with(std::to_string(i / 3) + "x"));
  }
  client_.close_send(stream);
  int rest = 0;
  while (client_.receive(stream)) ++rest;
  EXPECT_EQ(rest, 200 - 67);
  EXPECT_EQ(client_.finish(stream).status.code, Code::kOk);
}

TEST_P(Streams, AnEmptyStreamIsFine) {
  const auto stream = client_.start("hostcall.v1.Diagnostics/EchoStream", "", Shape::kBidiStream);
  client_.close_send(stream);
  EXPECT_FALSE(client_.receive(stream));
  EXPECT_EQ(client_.finish(stream).status.code, Code::kOk);
}

TEST_P(Streams, AWrongShapeIsAnError) {
  EXPECT_EQ(client_.finish(client_.start("hostcall.v1.Diagnostics/Echo", "", Shape::kBidiStream)).status.code,
            Code::kInvalidArgument);
  EXPECT_EQ(client_.finish(client_.start("hostcall.v1.Diagnostics/Sink", "", Shape::kUnary)).status.code,
            Code::kInvalidArgument);
}

TEST_P(Streams, AMessageThatDoesNotParseEndsItsStreamOnly) {
  EXPECT_EQ(
      client_.finish(client_.start("hostcall.v1.Diagnostics/Source", "\xff\xff", Shape::kServerStream)).status.code,
      Code::kInvalidArgument);
  EXPECT_EQ(client_.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
}

INSTANTIATE_TEST_SUITE_P(Modes, Streams, testing::Values(Mode::kPlain, Mode::kExtended, Mode::kChecksums),
                         [](const auto& test) {
                           return test.param == Mode::kPlain      ? "Plain"
                                  : test.param == Mode::kExtended ? "Extended"
                                                                  : "Checksums";
                         });

// A reader that takes nothing holds the sender back at its window, and the connection goes on for others.
TEST(StreamWindows, ASlowReaderHoldsOnlyItsStreamBack) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  const auto hello = client.hello();
  const auto slow =
      client.start("hostcall.v1.Diagnostics/Source", source_request(50'000'000, 50'000), Shape::kServerStream);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  const auto fast =
      client.start("hostcall.v1.Diagnostics/Source", source_request(1'000'000, 50'000), Shape::kServerStream);
  int messages = 0;
  while (client.receive(fast)) ++messages;
  EXPECT_EQ(messages, 20);
  const auto held = client.unread_bytes(slow);
  EXPECT_LE(held, hello.initial_stream_window() + 50'000U + 64U);
  client.cancel(slow);
  EXPECT_EQ(client.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace hostcall::test
