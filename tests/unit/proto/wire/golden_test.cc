// The golden vectors, both ways, and that PROTOCOL.md shows them: text, constants, reader and writer change together.
#include "tests/unit/proto/wire/golden.h"

#include <gtest/gtest.h>

#include "hostcall/v1/diagnostics.pb.h"
#include "hostcall/v1/session.pb.h"
#include "proto/wire/message.h"
#include "tests/support/contents.h"
#include "tests/support/frames.h"
#include "tests/support/wire_peer.h"

namespace hostcall::wire {
namespace {

using namespace std::string_view_literals;
using test::from_hex;
using test::Peer;
using test::take_output;
using Role = EndpointOptions::Role;
constexpr Extension kAll{
    .features = kAllFeatures & ~std::uint64_t{kFeatureCrc32c}, .stream_window = 65'536, .connection_window = 262'144};

// What an endpoint says when it is brought to the vector's stream first.
struct Client : Peer {
  explicit Client(std::uint32_t first) : Peer({.role = Role::kClient, .first_stream = first}) {}
  Stream& call(Shape shape) {
    return endpoint.open({.service = "hostcall.v1.Diagnostics", .method = "Sink"}, {}, shape);
  }
};

struct Server : Peer {
  explicit Server(std::uint32_t id, std::uint8_t flags = 0) : Peer({}) {
    events.react = [this](std::string_view, Stream* opened) { stream = opened; };
    EXPECT_TRUE(endpoint.receive(test::request(id, flags)));
  }
  Stream* stream = nullptr;
};

std::string opened(std::uint32_t id, const RequestFields& fields, std::string_view payload, Shape shape) {
  Client client(id);
  client.endpoint.open(fields, payload, shape);
  return take_output(client.endpoint);
}

std::string responded(std::uint32_t id, const Status& status, std::string_view payload = {}) {
  Server server(id);
  server.endpoint.respond(*server.stream, status, payload);
  return take_output(server.endpoint);
}

std::string sent_data(std::uint64_t more_features = 0) {
  Client client(7);
  auto& stream = client.call(Shape::kClientStream);
  take_output(client.endpoint);
  if (more_features != 0) client.endpoint.enable({.features = more_features});
  EXPECT_EQ(client.endpoint.send_data(stream,
                                      "\x0a\x03"
                                      "abc"sv),
            SendOutcome::kSent);
  return take_output(client.endpoint);
}

std::string serialized(const google::protobuf::MessageLite& message) { return message.SerializeAsString(); }

std::string hello_request() {
  v1::HelloRequest hello;
  hello.set_client_name("demo");
  hello.set_client_version("1.0");
  hello.set_features(kAllFeatures);
  hello.set_boot_id("b1");
  return serialized(hello);
}

std::string hello_response() {
  v1::HelloResponse reply;
  reply.set_features(kAllFeatures);
  reply.set_session_id(7);
  reply.set_daemon_epoch("e0");
  reply.set_vm_name("web1");
  reply.set_max_message_bytes(262'144);
  reply.set_max_streams(256);
  reply.set_heartbeat_interval_ms(10'000);
  reply.set_initial_stream_window(65'536);
  reply.set_initial_connection_window(262'144);
  reply.set_daemon_version("0.1.0");
  return serialized(reply);
}

std::string echo(std::string_view payload) {
  v1::EchoRequest message;
  message.set_payload(std::string(payload));
  return serialized(message);
}

TEST(GoldenEncode, Requests) {
  EXPECT_EQ(opened(1, {.service = "hostcall.v1.Host", .method = "Info"}, {}, Shape::kUnary),
            from_hex(golden::kRequestUnary));
  const Metadata metadata[] = {{"trace", "7"}};
  const RequestFields full{
      .service = "hostcall.v1.Diagnostics", .method = "Echo", .timeout_nano = 5'000'000'000, .metadata = metadata};
  EXPECT_EQ(opened(3, full, echo("hi"), Shape::kUnary), from_hex(golden::kRequestFull));
  v1::SourceRequest source;
  source.set_total_bytes(3);
  source.set_chunk_bytes(1);
  const RequestFields streamed{.service = "hostcall.v1.Diagnostics", .method = "Source"};
  EXPECT_EQ(opened(5, streamed, serialized(source), Shape::kServerStream), from_hex(golden::kRequestServerStream));
  const RequestFields sink{.service = "hostcall.v1.Diagnostics", .method = "Sink"};
  EXPECT_EQ(opened(7, sink, {}, Shape::kClientStream), from_hex(golden::kRequestClientStream));
  EXPECT_EQ(opened(1, {.service = "hostcall.v1.Session", .method = "Hello"}, hello_request(), Shape::kUnary),
            from_hex(golden::kRequestHello));
}

TEST(GoldenEncode, Responses) {
  EXPECT_EQ(responded(1, {}), from_hex(golden::kResponseEmpty));
  EXPECT_EQ(responded(3, {}, echo("hi")), from_hex(golden::kResponsePayload));
  EXPECT_EQ(responded(5, {.code = Code::kPermissionDenied, .message = "no rule allows it"}),
            from_hex(golden::kResponseDenied));
  const Status retry{
      .code = Code::kResourceExhausted, .message = "calls: 50 per second", .retry_after = milliseconds(1500)};
  EXPECT_EQ(responded(3, retry, "dropped: a refusal has no payload"), from_hex(golden::kResponseRetry));
  EXPECT_EQ(responded(1, {}, hello_response()), from_hex(golden::kResponseHello));
}

TEST(GoldenEncode, Data) {
  EXPECT_EQ(sent_data(), from_hex(golden::kData));
  EXPECT_EQ(sent_data(kFeatureCrc32c), from_hex(golden::kDataCrc));
  Client client(7);
  auto& stream = client.call(Shape::kBidiStream);
  take_output(client.endpoint);
  client.endpoint.close_send(stream);
  EXPECT_EQ(take_output(client.endpoint), from_hex(golden::kDataEnd));
  Server server(7, kRemoteOpen);
  server.endpoint.close_stream(*server.stream);
  EXPECT_EQ(take_output(server.endpoint), from_hex(golden::kDataEnd)) << "both sides end alike";
}

TEST(GoldenEncode, ExtensionFrames) {
  Client client(7);
  client.endpoint.enable(kAll);
  auto& stream = client.call(Shape::kBidiStream);
  take_output(client.endpoint);
  client.endpoint.cancel(stream, Code::kCancelled);
  EXPECT_EQ(take_output(client.endpoint), from_hex(golden::kCancel));
  std::uint64_t token;
  std::memcpy(&token, "\1\2\3\4\5\6\7\x8", sizeof token);
  client.endpoint.send_ping(token);
  EXPECT_EQ(take_output(client.endpoint), from_hex(golden::kPing));

  Server server(7);
  server.endpoint.enable(kAll);
  EXPECT_TRUE(server.endpoint.receive(from_hex(golden::kPing)));
  EXPECT_EQ(take_output(server.endpoint), from_hex(golden::kPong));
  server.endpoint.send_goaway(GoawayReason::kShutdown, 2'000, "hostcalld stops");
  EXPECT_EQ(take_output(server.endpoint), from_hex(golden::kGoaway));
}

TEST(GoldenEncode, Windows) {
  Peer server({});
  server.endpoint.enable({.features = kAll.features, .stream_window = 131'072, .connection_window = 524'288});
  server.events.react = [&](std::string_view event, Stream* stream) {
    if (event == "data") server.endpoint.consumed(*stream, 32'768 - kDataFrameCost);
  };
  // A quarter of the stream's window, in one message each; the fourth makes a quarter of the connection's.
  for (const std::uint32_t id : {1u, 3u, 5u, 7u}) {
    take_output(server.endpoint);
    EXPECT_TRUE(server.endpoint.receive(test::request(id, kRemoteOpen) +
                                        test::data(id, std::string(32'768 - kDataFrameCost, 'x'))));
  }
  EXPECT_EQ(take_output(server.endpoint), from_hex(golden::kWindowStream) + from_hex(golden::kWindowConnection));
}

// What an endpoint's owner hears of a vector.
std::vector<std::string> heard(Peer& peer, const char* vector) {
  EXPECT_TRUE(peer.endpoint.receive(from_hex(vector))) << vector << peer.endpoint.violation()->text;
  return std::exchange(peer.events.log, {});
}
using Log = std::vector<std::string>;

TEST(GoldenDecode, RequestsAndData) {
  Peer server({});
  const auto hello = hello_request();
  EXPECT_EQ(heard(server, golden::kRequestHello), Log{"request 1 hostcall.v1.Session/Hello " + hello});
  EXPECT_EQ(heard(server, golden::kRequestFull), Log{"request 3 hostcall.v1.Diagnostics/Echo " + echo("hi")});
  EXPECT_EQ(heard(server, golden::kRequestServerStream),
            Log{"request 5 hostcall.v1.Diagnostics/Source \x08\x03\x10\x01"});
  EXPECT_EQ(heard(server, golden::kRequestClientStream), Log{"request 7 hostcall.v1.Diagnostics/Sink open"});
  EXPECT_EQ(heard(server, golden::kData), Log{"data 7 \x0a\x03"
                                              "abc"});
  EXPECT_EQ(heard(server, golden::kDataLast), (Log{"data 7 \x0a\x01z", "closed 7"}));
  Peer other({});
  EXPECT_EQ(heard(other, golden::kRequestUnary), Log{"request 1 hostcall.v1.Host/Info"});
  EXPECT_EQ(heard(other, golden::kRequestClientStream).size(), 1u);
  EXPECT_EQ(heard(other, golden::kDataEnd), Log{"closed 7"});
}

TEST(GoldenDecode, RequestFields) {
  const auto bytes = from_hex(golden::kRequestFull);
  const auto request = parse_request(std::string_view(bytes).substr(kHeaderBytes));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->timeout_nano, 5'000'000'000);
  EXPECT_EQ(request->metadata("trace"), "7");
}

TEST(GoldenDecode, Responses) {
  Client client(1);
  for (int i = 0; i < 3; ++i) client.call(Shape::kUnary);
  EXPECT_EQ(heard(client, golden::kResponseHello), Log{"response 1 OK " + hello_response()});
  EXPECT_EQ(heard(client, golden::kResponsePayload), Log{"response 3 OK " + echo("hi")});
  EXPECT_EQ(heard(client, golden::kResponseDenied), Log{"response 5 PERMISSION_DENIED: no rule allows it"});
  Client other(1);
  for (int i = 0; i < 2; ++i) other.call(Shape::kUnary);
  EXPECT_EQ(heard(other, golden::kResponseEmpty), Log{"response 1 OK"});
  EXPECT_EQ(heard(other, golden::kResponseRetry), Log{"response 3 RESOURCE_EXHAUSTED: calls: 50 per second"});
  const auto retry = from_hex(golden::kResponseRetry);
  EXPECT_EQ(parse_response(std::string_view(retry).substr(kHeaderBytes))->retry_after, milliseconds(1500));
}

TEST(GoldenDecode, ExtensionFrames) {
  Server server(7, kRemoteOpen);
  server.events.log.clear();
  server.endpoint.enable(kAll);
  EXPECT_EQ(heard(server, golden::kWindowStream), Log{});
  EXPECT_EQ(heard(server, golden::kWindowConnection), Log{});
  EXPECT_EQ(heard(server, golden::kPong), Log{});
  EXPECT_EQ(heard(server, golden::kCancel), Log{"cancel 7 CANCELLED"});
  EXPECT_EQ(heard(server, golden::kGoaway), Log{"goaway last=7 reason=0 retry=2000 hostcalld stops"});
  Server checked(7, kRemoteOpen);
  checked.events.log.clear();
  checked.endpoint.enable({.features = kFeatureCrc32c});
  EXPECT_EQ(heard(checked, golden::kDataCrc), Log{"data 7 \x0a\x03"
                                                  "abc"});
}

TEST(Golden, ProtocolTextShowsEveryVector) {
  const auto text = test::contents_of(PROTOCOL_TEXT);
  for (const char* vector : golden::kAll)
    EXPECT_NE(text.find(vector), std::string::npos) << "PROTOCOL.md lacks or changes" << vector;
}

}  // namespace
}  // namespace hostcall::wire
