// A Channel and hosts that do not behave: the client neither crashes nor fills its memory, and says what was wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/client/lib/rig.h"

namespace hostcall::test {
namespace {

using client::Channel;
using testing::HasSubstr;
using wire::Code;
using wire::Shape;

struct Hostile {
  const char* name;
  std::string bytes;
};

std::string frame(std::uint32_t length, std::uint32_t stream, std::uint8_t type, std::uint8_t flags,
                  std::string_view data = {}) {
  char header[wire::kHeaderBytes];
  wire::encode_header({.length = length, .stream = stream, .type = static_cast<wire::FrameType>(type), .flags = flags},
                      header);
  return std::string(header, sizeof header) + std::string(data);
}

class HostileBytes : public testing::TestWithParam<Hostile> {};

TEST_P(HostileBytes, EndTheConnectionAndAreNamed) {
  Rig rig;
  TestCall call("a.B/C");
  rig.begin(call);
  rig.pump();
  rig.host.connection().send_raw(GetParam().bytes);
  rig.channel->process(rig.now);
  EXPECT_EQ(call.code(), Code::kUnavailable);
  EXPECT_TRUE(call.result.outcome_unknown);
  EXPECT_THAT(call.text(), HasSubstr("broke the protocol"));
  EXPECT_EQ(rig.state(), Channel::State::kIdle);
  rig.host.serve();
  EXPECT_EQ(rig.host.connection().goaways, std::vector{wire::GoawayReason::kProtocolError});
}

INSTANTIATE_TEST_SUITE_P(
    All, HostileBytes,
    testing::Values(Hostile{"FourGigabytes", frame(0xFFFFFFFF, 3, 2, 0)}, Hostile{"UnknownType", frame(0, 3, 99, 0)},
                    Hostile{"ResponseToNothing", frame(0, 99, 2, 0)},
                    Hostile{"BrokenResponse", frame(3, 3, 2, 0, "\xFF\xFF\xFF")},
                    Hostile{"RequestToClient", frame(0, 2, 1, 0)}, Hostile{"DataOnNoStream", frame(1, 77, 3, 0, "x")},
                    Hostile{"DataForUnary", frame(1, 3, 3, 0, "x")}, Hostile{"BadFlags", frame(1, 3, 3, 0x40, "x")},
                    Hostile{"ShortPing", frame(1, 0, 0x12, 0, "x")}, Hostile{"ShortGoaway", frame(1, 0, 0x14, 0, "x")},
                    Hostile{"CancelFromHost", frame(4, 3, 0x10, 0, std::string_view("\0\0\0\1", 4))},
                    Hostile{"WindowOverflow", frame(4, 0, 0x11, 0, "\x7F\xFF\xFF\xFF")}),
    [](const auto& test) { return test.param.name; });

TEST(ChannelHostile, NegativeAndUnknownCodes) {
  auto script = extended_script();
  script.on_call = [](HostConnection& connection, SeenCall& call) {
    connection.respond(call, {static_cast<Code>(call.method == "N" ? -1 : 4242), "odd", {}});
  };
  Rig rig(script);
  TestCall negative("a.B/N"), unknown("a.B/U");
  rig.begin(negative);
  rig.begin(unknown);
  rig.pump();
  EXPECT_EQ(negative.code(), Code::kUnknown);
  EXPECT_EQ(static_cast<int>(unknown.code()), 4242);
}

TEST(ChannelHostile, LongTextsAreCut) {
  auto script = extended_script();
  script.agreement.set_vm_name(std::string(100'000, 'n'));
  script.on_call = [](HostConnection& connection, SeenCall& call) {
    connection.respond(call, {Code::kInternal, std::string(1'000'000, 'x'), {}});
  };
  Rig rig(script);
  TestCall call("a.B/C");
  rig.begin(call);
  rig.pump();
  EXPECT_EQ(call.code(), Code::kInternal);
  EXPECT_EQ(call.text().size(), 8u * 1024);
  EXPECT_EQ(rig.channel->agreement()->vm_name.size(), 256u);
}

TEST(ChannelHostile, WindowsWithoutEndFillNoMemory) {
  auto script = extended_script();
  script.agreement.set_initial_stream_window(0x7FFFFFFF);
  script.agreement.set_initial_connection_window(0x7FFFFFFF);
  script.agreement.set_heartbeat_interval_ms(1'000);
  Rig rig(script);
  TestCall stream("a.B/S", {}, Shape::kServerStream);
  rig.begin(stream);
  rig.pump();
  auto& host = rig.host.connection();
  const std::string chunk(1u << 20, 'c');
  int sent = 0;
  while (sent < 64 && host.send(*host.find("S"), chunk) == wire::SendOutcome::kSent) ++sent;
  EXPECT_GT(sent, 0) << "until the host's own output was full";
  for (int i = 0; i < 40; ++i) rig.pump();
  EXPECT_GT(stream.call.inbox.cost(), 1u << 20);
  EXPECT_LT(stream.call.inbox.cost(), 22u << 20) << "16 MiB, a message, and one read";
  for (int i = 0; i < 10; ++i) rig.advance(seconds(1));
  EXPECT_FALSE(stream.ended()) << "silence means nothing while this side does not read";
}

// Answers Hello with these bytes; returns what became of a call that waited.
std::string text_after_hello(std::string_view response_message) {
  auto script = extended_script();
  script.answer_hello = false;
  Rig rig(script);
  TestCall call("a.B/C");
  rig.begin(call);
  rig.host.serve();
  rig.host.connection().send_raw(frame(static_cast<std::uint32_t>(response_message.size()), 1, 2, 0, response_message));
  rig.channel->process(rig.now);
  EXPECT_EQ(call.code(), Code::kUnavailable);
  return call.text();
}

TEST(ChannelHostile, AnAnswerToHelloThatIsNone) {
  EXPECT_THAT(text_after_hello(std::string_view("\x12\x02\xFF\xFF", 4)), HasSubstr("not a HelloResponse"));
}

TEST(ChannelHostile, WindowsOfNothingAreRefused) {
  v1::HelloResponse agreement;
  agreement.set_features(wire::kFeatureWindow);
  const auto payload = agreement.SerializeAsString();
  std::string response(wire::response_size({}, payload.size()), '\0');
  wire::write_response({}, std::string_view(payload), response.data());
  EXPECT_THAT(text_after_hello(response), HasSubstr("initial window outside"));
}

TEST(ChannelHostile, PingsAreAnsweredWhenProcessed) {
  Rig rig;
  rig.connect();
  const auto frames = rig.host.connection().frames();
  rig.host.connection().ping(42);
  rig.pump();
  EXPECT_EQ(rig.host.connection().frames(), frames + 1);
}

}  // namespace
}  // namespace hostcall::test
