#include <gmock/gmock.h>

#include <stdexcept>

#include "tests/support/frames.h"
#include "tests/unit/client/server/server_rig.h"

namespace hostcall::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using wire::Code;

class UnaryTest : public BothProtocols {};
INSTANTIATE_TEST_SUITE_P(Both, UnaryTest, testing::Bool(), protocol_name);

TEST_P(UnaryTest, AnswersAtOnce) {
  start();
  serve_echo();
  const auto client = caller();
  for (const auto* text : {"one", "two", ""}) {
    const auto answer = client->call(Echo::kFullName, echo_request(text));
    EXPECT_TRUE(answer.status.ok()) << answer.status.message;
    EXPECT_EQ(echoed(answer.payload), text);
  }
}

TEST_P(UnaryTest, TellsTheHandlersStatus) {
  start();
  server->serve<Echo>([](const ServerCall&, const v1::EchoRequest&, v1::EchoResponse& response) {
    response.set_payload("not sent");
    return Status{hostcall::Code::kNotFound, "no such item", std::chrono::milliseconds(1500), false};
  });
  const auto answer = caller()->call(Echo::kFullName);
  EXPECT_EQ(answer.status.code, Code::kNotFound);
  EXPECT_EQ(answer.status.message, "no such item");
  EXPECT_EQ(answer.status.retry_after, milliseconds(1500));
  EXPECT_EQ(answer.payload, "");
}

TEST_P(UnaryTest, AnswersLaterInAnyOrder) {
  start();
  std::vector<Responder<Echo>> waiting;
  server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest& request) {
    EXPECT_EQ(request.payload(), std::to_string(waiting.size()));
    waiting.push_back(responder);
  });
  const auto client = caller();
  const auto first = client->start(Echo::kFullName, echo_request("0").SerializeAsString());
  const auto second = client->start(Echo::kFullName, echo_request("1").SerializeAsString());
  pump();
  ASSERT_EQ(waiting.size(), 2u);
  v1::EchoResponse reply;
  reply.set_payload("second");
  waiting[1].finish(reply);
  waiting[1].finish(Status{hostcall::Code::kAborted, "too late", {}, false});
  EXPECT_TRUE(waiting[1].ended());
  EXPECT_FALSE(waiting[1].cancelled());
  EXPECT_EQ(echoed(client->finish(second).payload), "second");
  EXPECT_FALSE(client->ended(first));
  reply.set_payload("first");
  waiting[0].finish(reply);
  EXPECT_EQ(echoed(client->finish(first).payload), "first");
}

TEST_P(UnaryTest, ADroppedCallIsAnswered) {
  start();
  std::optional<Responder<Echo>> kept;
  server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest& request) {
    if (request.payload() == "keep") kept = responder;
  });
  const auto client = caller();
  EXPECT_EQ(client->call(Echo::kFullName).status.code, Code::kInternal);
  const auto call = client->start(Echo::kFullName, echo_request("keep").SerializeAsString());
  pump();
  ASSERT_TRUE(kept);
  kept.reset();
  const auto answer = client->finish(call);
  EXPECT_EQ(answer.status.code, Code::kInternal);
  EXPECT_THAT(answer.status.message, HasSubstr("without an answer"));
}

TEST_P(UnaryTest, RefusesWhatItDoesNotServe) {
  start();
  serve_echo();
  const auto client = caller();
  const auto unknown = client->call("acme.v1.Inventory/List");
  EXPECT_EQ(unknown.status.code, Code::kUnimplemented);
  EXPECT_THAT(unknown.status.message, HasSubstr("acme.v1.Inventory/List"));
  EXPECT_EQ(client->call("hostcall.v1.Diagnostics/Ech").status.code, Code::kUnimplemented);
  const auto shape = client->start(Echo::kFullName, {}, wire::Shape::kBidiStream);
  EXPECT_EQ(client->finish(shape).status.code, Code::kInvalidArgument);
  const auto garbage = client->start(Echo::kFullName, "\xff\xff\xff");
  EXPECT_EQ(client->finish(garbage).status.code, Code::kInvalidArgument);
  const auto wrong_type = client->start(Echo::kFullName, std::string("\x0a\x7f", 2));
  EXPECT_EQ(client->finish(wrong_type).status.code, Code::kInvalidArgument);
  EXPECT_TRUE(client->call(Echo::kFullName).status.ok()) << "the connection goes on";
}

TEST_P(UnaryTest, AnExceptionEndsItsCallWithoutItsText) {
  start();
  server->serve<Echo>([](const ServerCall&, const v1::EchoRequest&, v1::EchoResponse&) -> Status {
    throw std::runtime_error("the password is swordfish");
  });
  const auto client = caller();
  const auto answer = client->call(Echo::kFullName);
  EXPECT_EQ(answer.status.code, Code::kInternal);
  EXPECT_THAT(answer.status.message, testing::Not(HasSubstr("swordfish")));
  EXPECT_THAT(errors, ElementsAre("hostcall.v1.Diagnostics/Echo|the password is swordfish"));
  serve_echo();
  EXPECT_TRUE(client->call(Echo::kFullName).status.ok()) << "the handler was replaced";
}

TEST_P(UnaryTest, ADeadlineEndsTheCall) {
  start();
  std::optional<Responder<Echo>> kept;
  int cancels = 0;
  server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest&) {
    kept = responder;
    responder.on_cancel([&] { ++cancels; });
  });
  const auto client = caller();
  EXPECT_EQ(client->call(Echo::kFullName, echo_request(""), nanoseconds(-1)).status.code, Code::kDeadlineExceeded);
  EXPECT_FALSE(kept);
  const auto call = client->start(Echo::kFullName, {}, wire::Shape::kUnary, seconds(5));
  pump();
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->call().deadline(), time.now() + seconds(5));
  EXPECT_EQ(server->due(), kept->call().deadline());
  advance(seconds(5) - nanoseconds(1));
  EXPECT_FALSE(kept->cancelled());
  advance(nanoseconds(1));
  EXPECT_TRUE(kept->cancelled());
  EXPECT_EQ(cancels, 1);
  EXPECT_EQ(client->finish(call).status.code, Code::kDeadlineExceeded);
  kept->finish(v1::EchoResponse());
}

TEST_P(UnaryTest, ALostConnectionCancelsItsCalls) {
  start();
  std::optional<Responder<Echo>> kept;
  server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest&) {
    kept = responder;
    EXPECT_EQ(responder.call().deadline(), TimePoint::max());
  });
  auto client = caller();
  client->start(Echo::kFullName, {});
  pump();
  ASSERT_TRUE(kept);
  EXPECT_FALSE(kept->cancelled());
  client.reset();
  pump();
  EXPECT_TRUE(kept->cancelled());
  kept->finish(v1::EchoResponse());
}

TEST(ServerHelloTest, AgreesOnWhatBothKnow) {
  ServerRig rig;
  rig.options.max_message_bytes = 12345;
  rig.start();
  const auto client = rig.connect();
  const auto agreed = client->hello("boot-1", wire::kFeatureCrc32c);
  EXPECT_EQ(agreed.features(), wire::kAllFeatures & ~std::uint64_t{wire::kFeatureCrc32c});
  EXPECT_EQ(agreed.max_message_bytes(), 12345u);
  EXPECT_EQ(agreed.max_streams(), rig.options.max_calls_per_connection);
  EXPECT_EQ(agreed.heartbeat_interval_ms(), 0u);
  EXPECT_EQ(client->call("hostcall.v1.Session/Hello").status.code, Code::kFailedPrecondition);
}

TEST(ServerHelloTest, ARefusedOneMayBeRepeated) {
  ServerRig rig;
  rig.start();
  const auto client = rig.connect();
  v1::HelloRequest request;
  request.set_client_name(std::string(65, 'n'));
  EXPECT_EQ(client->call("hostcall.v1.Session/Hello", request).status.code, Code::kInvalidArgument);
  EXPECT_NE(client->hello().features(), 0u);
}

TEST(ServerHelloTest, ACancelledCallIsNotAnswered) {
  ServerRig rig;
  rig.start();
  std::optional<Responder<Echo>> kept;
  rig.server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest&) { kept = responder; });
  const auto client = rig.connect_extended();
  const auto call = client->start(Echo::kFullName, {});
  rig.pump();
  ASSERT_TRUE(kept);
  client->cancel(call);
  rig.pump();
  EXPECT_TRUE(kept->cancelled());
  kept->finish(v1::EchoResponse());
  rig.serve_echo();
  EXPECT_TRUE(client->call(Echo::kFullName).status.ok());
}

// The bytes as a stock client writes them, and as it reads them.
TEST(ServerBytesTest, SpeaksTtrpc) {
  ServerRig rig;
  rig.start();
  rig.serve_echo();
  const auto client = rig.connect();
  client->send_raw(request_frame(1, {.service = "hostcall.v1.Diagnostics", .method = "Echo"},
                                 echo_request("hi").SerializeAsString()));
  rig.pump();
  const auto expected = from_hex("00 00 00 06 00 00 00 01 02 00 12 04 0a 02 68 69");
  std::string got(100, '\0');
  got.resize(static_cast<std::size_t>(::read(client->fd(), got.data(), got.size())));
  EXPECT_EQ(got, expected);
}

}  // namespace
}  // namespace hostcall::test
