// Bytes that no honest client sends: the connection ends with a word where the protocol has one, the journal says it
// once, another VM notices nothing, and the daemon ends in order at the end of each test.
#include <gtest/gtest.h>

#include <sys/socket.h>

#include <random>

#include "hostcall/v1/diagnostics.pb.h"
#include "hostcall/v1/store.pb.h"
#include "tests/support/daemon_process.h"
#include "tests/support/seed.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

using wire::Code;
using wire::FrameType;

std::string frame(std::uint32_t stream, FrameType type, std::uint8_t flags, const std::string& data) {
  std::string bytes(wire::kHeaderBytes, '\0');
  wire::encode_header(
      {.length = static_cast<std::uint32_t>(data.size()), .stream = stream, .type = type, .flags = flags},
      bytes.data());
  return bytes + data;
}

std::string call(std::uint32_t stream, const wire::RequestFields& fields, std::string_view payload = {},
                 std::uint8_t flags = 0) {
  std::string data(wire::request_size(fields, payload.size()), '\0');
  wire::write_request(fields, payload, data.data());
  return frame(stream, FrameType::kRequest, flags, data);
}

std::string request(std::uint32_t stream, const std::string& method, std::uint8_t flags = 0) {
  return call(stream, {.service = "hostcall.v1.Session", .method = method}, {}, flags);
}

std::string store_call(std::uint32_t stream, const std::string& method, std::string_view payload,
                       std::int64_t timeout_nano = 0) {
  return call(stream, {.service = "hostcall.v1.Store", .method = method, .timeout_nano = timeout_nano}, payload);
}

constexpr char kNotUtf8[] = "\x0a\x01\xff";  // field 1, a string of one byte

struct Hostile {
  const char* name;
  std::string bytes;
  const char* journal;  // what the operator reads
};

class HostileBytes : public testing::TestWithParam<Hostile> {};

TEST_P(HostileBytes, EndTheirConnectionAndNothingElse) {
  DaemonProcess daemon;
  WireClient good(daemon.vm_address("db1"));
  EXPECT_EQ(good.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  WireClient plain(daemon.vm_address("web1"));
  plain.send_raw(GetParam().bytes);
  EXPECT_TRUE(plain.wait_for_close());
  EXPECT_TRUE(daemon.process().wait_for_error_text(GetParam().journal)) << daemon.process().errors();
  EXPECT_NE(daemon.process().errors().find("web1"), std::string::npos) << "the journal names the VM";

  // After Hello the peer is told why.
  WireClient extended(daemon.vm_address("web1"));
  extended.hello();
  if (GetParam().bytes[0] == 0) {
    extended.send_raw(GetParam().bytes);
    EXPECT_TRUE(extended.wait_for_goaway());
    EXPECT_EQ(extended.goaway_reason(), wire::GoawayReason::kProtocolError);
    EXPECT_FALSE(extended.goaway_text()->empty());
    EXPECT_TRUE(extended.wait_for_close());
  }
  EXPECT_EQ(good.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  EXPECT_EQ(daemon.stop(), 0);
}

const Hostile kHostile[] = {
    {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"},
    {"HttpGet", "GET / HTTP/1.1\r\n\r\n", "HTTP"},
    {"Tls", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03", 10), "TLS"},
    {"FourGibibytes", std::string("\xff\xff\xff\xff\x00\x00\x00\x01\x01\x00", 10), "broke the protocol"},
    {"JustTooLong", std::string("\x00\x40\x00\x01\x00\x00\x00\x03\x01\x00", 10), "4194305"},
    {"UnknownType", frame(3, static_cast<FrameType>(0x7f), 0, ""), "type 127"},
    {"ResponseToAServer", frame(3, FrameType::kResponse, 0, ""), "response to a server"},
    {"EvenStream", request(2, "Ping"), "even stream ids"},
    {"StreamZero", request(0, "Ping"), "even stream ids"},
    {"DataOnNothing", frame(77, FrameType::kData, 0, "x"), "never opened"},
    {"BadRequestFlags", request(3, "Ping", 0x0f), "request flags"},
    {"NotARequest", frame(3, FrameType::kRequest, 0, "\xff\xff\xff\xff"), "not a Request message"},
    {"BadPing", frame(5, FrameType::kPing, 0, "12345678"), "broke the protocol"},
    {"BadWindow", frame(0, FrameType::kWindow, 0, std::string(4, '\0')), "broke the protocol"},
    {"BadGoaway", frame(0, FrameType::kGoaway, 0, "x"), "broke the protocol"},
    {"CancelOfNothing", frame(99, FrameType::kCancel, 0, std::string(4, '\1')), "broke the protocol"},
};

INSTANTIATE_TEST_SUITE_P(Cases, HostileBytes, testing::ValuesIn(kHostile),
                         [](const auto& test) { return test.param.name; });

// Frames that are wrong only because of an open stream, which the client's own engine must know, too.
void expect_violation_on_open_stream(std::string (*bytes)(std::uint32_t stream), const char* journal) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  client.hello();
  client.send_raw(bytes(client.start("hostcall.v1.Diagnostics/EchoStream", "", wire::Shape::kBidiStream)));
  EXPECT_TRUE(client.wait_for_close());
  EXPECT_TRUE(daemon.process().wait_for_error_text(journal));
}

TEST(Hostile, AReusedStreamIdIsAViolation) {
  expect_violation_on_open_stream([](std::uint32_t stream) { return request(stream, "Ping"); }, "must increase");
}

TEST(Hostile, UnknownDataFlagsAreAViolation) {
  expect_violation_on_open_stream([](std::uint32_t stream) { return frame(stream, FrameType::kData, 0x80, ""); },
                                  "data flags");
}

// EchoStream holds what it can't send back. A peer that takes nothing back and sends past its window is cut off.
TEST(Hostile, MoreDataThanCreditIsAViolation) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  client.hello();
  const auto stream = client.start("hostcall.v1.Diagnostics/EchoStream", "", wire::Shape::kBidiStream);
  v1::EchoRequest message;
  message.set_payload(std::string(100'000, 'x'));
  for (int i = 0; i < 40 && !client.closed(); ++i) {
    client.send_raw(frame(stream, FrameType::kData, 0, message.SerializeAsString()));
    while (client.pump(std::chrono::milliseconds(10))) {
    }
  }
  EXPECT_TRUE(client.wait_for_close());
  EXPECT_EQ(client.goaway_reason(), wire::GoawayReason::kProtocolError);
  EXPECT_TRUE(daemon.process().wait_for_error_text("window")) << daemon.process().errors();
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Hostile, ACorruptChecksumIsAViolation) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  client.hello("boot-1", 0);
  client.send_raw(request(3, "Ping") + std::string(4, '\0'));
  EXPECT_TRUE(client.wait_for_close());
  EXPECT_TRUE(daemon.process().wait_for_error_text("CRC32C"));
}

TEST(Hostile, AFloodOfPingsIsAnsweredOrHeldBack) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  client.hello();
  std::string flood;
  for (int i = 0; i < 20'000; ++i) flood += frame(0, FrameType::kPing, 0, "12345678");
  const auto before = daemon.process().rss_kib();
  const auto sent = ::send(client.fd(), flood.data(), flood.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  EXPECT_GT(sent, 0);
  WireClient other(daemon.vm_address("db1"));
  EXPECT_EQ(other.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  EXPECT_LT(daemon.process().rss_kib(), before + 8 * 1024);
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Hostile, RandomBytesNeverHurtAnybodyElse) {
  DaemonProcess daemon(
      {.config_json = R"("limits": {"connect_rate": 10000, "connect_burst": 10000, "connections": 1000})"});
  WireClient good(daemon.vm_address("db1"));
  std::mt19937 random(seed(42));
  for (int round = 0; round < 200; ++round) {
    WireClient client(daemon.vm_address("web1"));
    if (round % 2 == 0) client.hello();
    std::string bytes(1 + random() % 300, '\0');
    for (auto& byte : bytes) byte = static_cast<char>(random());
    // Half of the rounds look like frames with a plausible header.
    if (round % 4 < 2) bytes = frame(random() % 8, static_cast<FrameType>(1 + random() % 20), random() % 8, bytes);
    client.send_raw(bytes);
    client.pump(std::chrono::milliseconds(2));
    if (round % 20 != 0) continue;
    EXPECT_EQ(good.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  }
  EXPECT_EQ(good.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Hostile, ConnectionsThatSayNothingAndLeaveAreForgotten) {
  DaemonProcess daemon(
      {.config_json = R"("limits": {"connect_rate": 10000, "connect_burst": 10000, "connections": 1000})"});
  for (int i = 0; i < 500; ++i) WireClient gone(daemon.vm_address("web1"));
  WireClient good(daemon.vm_address("web1"));
  EXPECT_EQ(good.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  EXPECT_EQ(daemon.stop(), 0);
}

// After the last id comes no other: 4294967295 + 2 is 1, which is open.
TEST(Hostile, StreamIdsNeverComeRound) {
  for (const bool is_extended : {false, true}) {
    DaemonProcess daemon;
    WireClient client(daemon.vm_address("web1"));
    if (is_extended) client.hello();
    v1::WatchRequest all;
    all.set_prefix("/self/");
    const auto watch = all.SerializeAsString();
    constexpr std::uint32_t kLast = 4294967295;
    const std::uint32_t first = is_extended ? 3 : 1;
    client.send_raw(store_call(first, "Watch", watch) + store_call(kLast, "Watch", watch, 1'000'000));
    client.send_raw(request(first, "Ping") + store_call(kLast, "Watch", watch) + store_call(kLast - 2, "Watch", watch));
    EXPECT_TRUE(client.discard_until_closed());
    EXPECT_TRUE(daemon.process().wait_for_error_text("stream ids must increase", kPatience))
        << daemon.process().errors();
    EXPECT_EQ(daemon.stop(), 0);
  }
}

// libprotobuf complains of each such string by itself; nobody reads the daemon's stderr here, and it must not matter.
TEST(Hostile, TextThatIsNotUtf8BringsNoLogOfALibrary) {
  DaemonProcess daemon({.config_json = R"("limits": {"connect_rate": 10000, "connect_burst": 10000})"});
  constexpr int kRounds = 40, kCalls = 100;
  for (int round = 0; round < kRounds; ++round) {
    WireClient client(daemon.vm_address("web1"));
    auto calls = call(1, {.service = "hostcall.v1.Session", .method = "Hello"}, kNotUtf8);
    for (std::uint32_t i = 1; i <= kCalls; ++i) calls += store_call(2 * i + 1, "Get", kNotUtf8);
    client.send_raw(calls + frame(0, FrameType{9}, 0, ""));
    EXPECT_TRUE(client.discard_until_closed()) << "ended by the frame of no type: all before it were looked at";
  }
  WireClient good(daemon.vm_address("db1"));
  EXPECT_EQ(good.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_EQ(daemon.process().errors().find("libprotobuf"), std::string::npos) << daemon.process().errors();
}

TEST(Hostile, GuestTextIsEscapedInTheJournal) {
  DaemonProcess daemon(
      {.policy_json = R"({"rules": [{"vms": ["*"], "calls": ["hostcall.v1.Session/*"], "action": "allow"}]})"});
  WireClient client(daemon.vm_address("web1"));
  const auto answer = client.call("hostcall.v1.Host/In\nfo\x1b[31m");
  EXPECT_EQ(answer.status.code, Code::kUnimplemented);
  EXPECT_EQ(answer.status.message.find('\n'), std::string::npos);
  EXPECT_EQ(answer.status.message.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace hostcall::test
