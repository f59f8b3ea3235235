// Services of the server library behind a real hostcalld: all shapes of calls by both protocols, from a guest with the
// extension.
#include <gtest/gtest.h>
#include <hostcall/server.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <thread>

#include "hostcall/v1/diagnostics.pb.h"
#include "tests/support/daemon_process.h"
#include "tests/support/patience.h"
#include "tests/support/sanitized.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

using v1::EchoRequest;
using v1::EchoResponse;
using wire::Shape;

// What protoc-gen-hostcall would generate.
template <bool kClient, bool kServer>
struct EchoMethod {
  using Request = EchoRequest;
  using Response = EchoResponse;
  static constexpr char kService[] = "acme.v1.Echo";
  static constexpr bool kClientStreams = kClient, kServerStreams = kServer;
};
struct Say : EchoMethod<false, false> {
  static constexpr char kMethod[] = "Say", kFullName[] = "acme.v1.Echo/Say";
};
struct Repeat : EchoMethod<false, true> {  // the payload, delay_ms times
  static constexpr char kMethod[] = "Repeat", kFullName[] = "acme.v1.Echo/Repeat";
};
struct Join : EchoMethod<true, false> {
  static constexpr char kMethod[] = "Join", kFullName[] = "acme.v1.Echo/Join";
};
struct Talk : EchoMethod<true, true> {
  static constexpr char kMethod[] = "Talk", kFullName[] = "acme.v1.Echo/Talk";
};

EchoRequest request_of(const std::string& payload, std::uint32_t delay_ms = 0) {
  EchoRequest request;
  request.set_payload(payload);
  request.set_delay_ms(delay_ms);
  return request;
}
EchoResponse response_of(const std::string& payload) {
  EchoResponse response;
  response.set_payload(payload);
  return response;
}
std::string payload_of(const std::string& message) {
  EchoResponse response;
  EXPECT_TRUE(response.ParseFromString(message));
  return response.payload();
}

// The service, in a thread of its own.
class EchoService {
 public:
  explicit EchoService(const std::string& address) {
    std::promise<void> listens;
    thread_ = std::thread([this, address, &listens] { serve(address, listens); });
    listens.get_future().wait();
  }
  ~EchoService() {
    server_->stop();
    thread_.join();
  }
  std::atomic<int> cancelled = 0;

 private:
  void serve(const std::string& address, std::promise<void>& listens) {
    hostcall::ServerOptions options;
    options.trusted_uids = {::getuid()};
    options.drain_time = std::chrono::milliseconds(100);
    auto server = hostcall::Server::listen(address, options);
    ASSERT_TRUE(server.ok()) << server.status().message;
    server_ = &*server;
    // "who" asks for the caller's name, "wait" for no answer.
    server->serve_later<Say>([this](const hostcall::Responder<Say>& responder, const EchoRequest& request) {
      if (request.payload() == "wait") return responder.on_cancel([this, responder] { ++cancelled; });
      if (request.payload() == "fail")
        return responder.finish({hostcall::Code::kOutOfRange, "no such shelf", {}, false});
      responder.finish(response_of(request.payload() == "who" ? responder.call().caller().vm : request.payload()));
    });
    server->serve_stream<Repeat>([](const hostcall::ServerStream<Repeat>& stream, const EchoRequest& request) {
      send_more(stream, response_of(request.payload()), std::make_shared<std::uint32_t>(request.delay_ms()));
    });
    server->serve_stream<Join>([](const hostcall::ServerStream<Join>& stream) {
      const auto all = std::make_shared<std::string>();
      stream.on_message([all](const EchoRequest& request) { *all += request.payload(); });
      stream.on_remote_closed([all, stream] { stream.finish(response_of(*all)); });
    });
    server->serve_stream<Talk>([](const hostcall::ServerStream<Talk>& stream) {
      stream.on_message([stream](const EchoRequest& request) {
        EXPECT_NE(stream.try_send(response_of(request.payload())), hostcall::Progress::kWouldBlock);
      });
      stream.on_remote_closed([stream] { stream.finish(hostcall::Status{}); });
    });
    listens.set_value();
    server->run();
  }
  static void send_more(const hostcall::ServerStream<Repeat>& stream, const EchoResponse& response,
                        const std::shared_ptr<std::uint32_t>& left) {
    while (*left != 0) {
      const auto progress = stream.try_send(response);
      if (progress == hostcall::Progress::kEnded) return;
      if (progress == hostcall::Progress::kWouldBlock)
        return stream.on_writable([stream, response, left] { send_more(stream, response, left); });
      --*left;
    }
    stream.finish(hostcall::Status{});
  }

  hostcall::Server* server_ = nullptr;
  std::thread thread_;
};

class RoutedTest : public testing::TestWithParam<const char*> {
 protected:
  std::string address() const { return "unix:" + daemon_.directory().path() + "/echo.sock"; }
  std::unique_ptr<WireClient> guest(const std::string& vm = "web1") const {
    auto client = std::make_unique<WireClient>(daemon_.vm_address(vm));
    client->hello();
    return client;
  }
  static std::string say(WireClient& client, const std::string& payload) {
    const auto answer = client.call(Say::kFullName, request_of(payload));
    EXPECT_EQ(answer.status.code, wire::Code::kOk) << answer.status.message;
    return payload_of(answer.payload);
  }

  DaemonProcess daemon_{
      {.services_json = std::string(R"({"service": "acme.v1.Echo", "ttrpc": "unix:@DIR@/echo.sock", "streaming": true,
         "concurrent_per_vm": 60, "protocol": ")") +
                        GetParam() + "\"}",
       .timeouts_ms = {{"drain_ms", 100}}}};
};
INSTANTIATE_TEST_SUITE_P(Protocols, RoutedTest, testing::Values("ttrpc", "hostcall"),
                         [](const auto& protocol) { return std::string(protocol.param); });

TEST_P(RoutedTest, CallsOfAllShapesArrive) {
  const EchoService service(address());
  const auto caller = guest();
  EXPECT_EQ(say(*caller, "hello"), "hello");
  EXPECT_EQ(say(*caller, "who"), "web1");
  EXPECT_EQ(say(*guest("db1"), "who"), "db1");
  const auto failed = caller->call(Say::kFullName, request_of("fail"));
  EXPECT_EQ(failed.status.code, wire::Code::kOutOfRange);
  EXPECT_EQ(failed.status.message, "no such shelf");

  const auto repeat = caller->start(Repeat::kFullName, request_of("x", 3).SerializeAsString(), Shape::kServerStream);
  const auto repeated = caller->finish(repeat);
  EXPECT_EQ(repeated.messages.size(), 3u);

  const auto join = caller->start(Join::kFullName, {}, Shape::kBidiStream);
  for (const auto* word : {"a", "b", "c"}) ASSERT_TRUE(caller->send(join, request_of(word)));
  caller->close_send(join);
  EXPECT_EQ(payload_of(caller->finish(join).payload), "abc");

  const auto talk = caller->start(Talk::kFullName, {}, Shape::kBidiStream);
  for (const auto* word : {"one", "two"}) {
    ASSERT_TRUE(caller->send(talk, request_of(word)));
    EXPECT_EQ(payload_of(caller->receive(talk).value_or("")), word);
  }
  caller->close_send(talk);
  EXPECT_EQ(caller->finish(talk).status.code, wire::Code::kOk);
}

TEST_P(RoutedTest, CancelAndDeadlineReachTheServer) {
  EchoService service(address());
  const auto caller = guest();
  const auto waiting = caller->start(Say::kFullName, request_of("wait").SerializeAsString());
  EXPECT_EQ(say(*caller, "hello"), "hello");
  caller->cancel(waiting);
  caller->pump(std::chrono::milliseconds(1));
  EXPECT_TRUE(eventually([&] { return service.cancelled == 1; }));
  const auto late = caller->call(Say::kFullName, request_of("wait"), std::chrono::milliseconds(50));
  EXPECT_EQ(late.status.code, wire::Code::kDeadlineExceeded);
  EXPECT_TRUE(eventually([&] { return service.cancelled == 2; }));
}

TEST_P(RoutedTest, AServerThatComesAndGoes) {
  const auto caller = guest();
  const auto down = caller->call(Say::kFullName, request_of("hello"));
  EXPECT_EQ(down.status.code, wire::Code::kUnavailable);
  EXPECT_NE(down.status.message.find("No such file or directory"), std::string::npos) << down.status.message;
  for (int i = 0; i < 3; ++i) {
    const EchoService service(address());
    EXPECT_EQ(say(*caller, "hello"), "hello");
  }
  EXPECT_EQ(caller->call(Say::kFullName, request_of("hello")).status.code, wire::Code::kUnavailable);
}

// A stream that nobody reads stops its own server's sending, and nothing else; the daemon keeps little of it.
TEST_P(RoutedTest, ASlowStreamHoldsUpNothing) {
  const EchoService service(address());
  const auto slow = guest(), quick = guest(), other = guest("db1");
  say(*slow, "hello");
  const auto before = daemon_.process().rss_kib();
  const auto unread = slow->start(
      Repeat::kFullName, request_of(std::string(64 * 1024, 'x'), 16'000).SerializeAsString(), Shape::kServerStream);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(say(*quick, "hello"), "hello");
    EXPECT_EQ(say(*other, "hello"), "hello");
  }
  EXPECT_FALSE(slow->ended(unread));
  if (!kSanitized) {
    EXPECT_LT(daemon_.process().rss_kib(), before + 6 * 1024);
  }
}

// 1 GiB from the server, and memory that stays.
TEST_P(RoutedTest, MuchPassesThroughLittleMemory) {
  constexpr std::uint32_t kMessages = kSanitized ? 1000 : 16'384;
  const EchoService service(address());
  const auto caller = guest();
  const auto stream = caller->start(
      Repeat::kFullName, request_of(std::string(64 * 1024, 'x'), kMessages).SerializeAsString(), Shape::kServerStream);
  std::uint32_t messages = 0;
  while (const auto message = caller->receive(stream)) messages += message->size() >= 64 * 1024 ? 1 : 0;
  EXPECT_EQ(messages, kMessages);
  EXPECT_EQ(caller->finish(stream).status.code, wire::Code::kOk);
  if (!kSanitized) {
    EXPECT_LT(daemon_.process().peak_rss_kib(), 40u * 1024);
  }
}

}  // namespace
}  // namespace hostcall::test
