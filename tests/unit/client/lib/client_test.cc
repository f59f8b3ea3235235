// The C++ interface, typed and untyped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hostcall/client.h>

#include "hostcall/v1/diagnostics.hostcall.h"
#include "hostcall/v1/host.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "tests/support/patience.h"
#include "tests/unit/client/lib/server_process.h"

namespace hostcall::test {
namespace {

using testing::HasSubstr;

static_assert(static_cast<int>(Code::kUnauthenticated) == static_cast<int>(wire::Code::kUnauthenticated));

class CppClient : public testing::Test {
 protected:
  CppClient() : server_(serving_script()), client_(*Client::make({.address = server_.address(), .client_name = "t"})) {}
  ServerProcess server_;
  Client client_;
};

TEST(CppClientMake, ABadAddressIsAStatus) {
  const auto client = Client::make({.address = "nonsense"});
  ASSERT_FALSE(client.ok());
  EXPECT_EQ(client.status().code, Code::kInvalidArgument);
  EXPECT_THAT(client.status().message, HasSubstr("unknown kind"));
}

TEST(CppClientMake, APrivilegedPortIsForVsock) {
  const auto client = Client::make({.address = "unix:/nowhere", .privileged_port = true});
  EXPECT_EQ(client.status().code, Code::kInvalidArgument);
  EXPECT_TRUE(Client::make({.address = "vsock:2:18499", .privileged_port = true}).ok()) << "connects to nothing yet";
}

TEST(CppClientMake, NobodyThereIsAStatusToo) {
  auto client = Client::make({.address = "unix:/nowhere"});
  const auto status = client->connect();
  EXPECT_EQ(status.code, Code::kUnavailable);
  EXPECT_FALSE(status.outcome_unknown);
  EXPECT_EQ(client->session(), std::nullopt);
}

TEST_F(CppClient, TypedCalls) {
  const auto info = client_.call<v1::Host::Info>({}, {.timeout = kPatience});
  ASSERT_TRUE(info.ok()) << info.status().message;
  EXPECT_EQ(info->host_name(), "host.example");
  v1::InfoResponse reused;
  EXPECT_TRUE(client_.call<v1::Host::Info>({}, reused).ok());
  EXPECT_EQ(reused.host_name(), "host.example");
  EXPECT_EQ(client_.session()->vm_name, "web1");
}

// A method whose server answers with something else.
struct Mismatch {
  using Request = v1::Chunk;
  using Response = v1::ListServicesResponse;
  static constexpr char kFullName[] = "t.T/Echo";
  static constexpr bool kClientStreams = false;
  static constexpr bool kServerStreams = false;
};

TEST_F(CppClient, AReplyOfAnotherTypeIsInternal) {
  v1::Chunk chunk;
  chunk.set_data("\xFF\xFE");  // field 1 of the response is a message, and this is none
  const auto reply = client_.call<Mismatch>(chunk);
  EXPECT_EQ(reply.status().code, Code::kInternal);
  EXPECT_THAT(reply.status().message, HasSubstr("hostcall.v1.ListServicesResponse"));
}

TEST_F(CppClient, ErrorsKeepTheirParts) {
  const auto reply = client_.call_bytes("t.T/Fail", {});
  EXPECT_EQ(reply.status().code, Code::kAborted);
  EXPECT_STREQ(code_name(reply.status().code), "ABORTED");
  EXPECT_EQ(reply.status().retry_after, std::chrono::milliseconds(1500));
  const auto late = client_.call_bytes("t.T/Hang", {}, {.timeout = std::chrono::milliseconds(0)});
  EXPECT_EQ(late.status().code, Code::kDeadlineExceeded) << "a time-out of nothing is the shortest, not the default";
}

TEST_F(CppClient, TypedStreams) {
  auto echo = client_.open<v1::Diagnostics::EchoStream>();
  ASSERT_TRUE(echo.ok());
  v1::EchoRequest request;
  request.set_payload("hello");
  EXPECT_TRUE(echo->send(request));
  v1::EchoResponse response;
  EXPECT_TRUE(echo->recv(response));
  EXPECT_EQ(response.payload(), "hello");
  EXPECT_EQ(echo->try_recv(response), Progress::kWouldBlock);
  echo->close_send();
  EXPECT_FALSE(echo->send(request));
  EXPECT_FALSE(echo->recv(response));
  EXPECT_TRUE(echo->finish().ok());

  auto source = client_.open<v1::Diagnostics::Source>(v1::SourceRequest());
  std::string all;
  for (const auto& chunk : *source) all += chunk.data();
  EXPECT_EQ(all, "0123456789");
  EXPECT_TRUE(source->finish().ok());

  auto sink = client_.open<v1::Diagnostics::Sink>();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(sink->send(v1::Chunk()));
  const auto sunk = sink->finish();
  ASSERT_TRUE(sunk.ok()) << sunk.status().message;
  EXPECT_EQ(sunk->messages(), 3u);
}

TEST_F(CppClient, AStreamMessageOfAnotherTypeEndsItWithInternal) {
  auto bytes = client_.open_bytes("t.T/EchoStream", Shape::kBidiStream);
  ASSERT_TRUE(bytes.ok());
  EXPECT_TRUE(bytes->send("\xFF\xFF"));
  Stream<v1::Diagnostics::EchoStream> stream(*std::move(bytes));
  v1::EchoResponse response;
  EXPECT_FALSE(stream.recv(response));
  EXPECT_EQ(stream.finish().code, Code::kInternal);
}

TEST_F(CppClient, UntypedStreams) {
  auto stream = client_.open_bytes("t.T/EchoStream", Shape::kBidiStream);
  ASSERT_TRUE(stream.ok());
  std::string_view message;
  EXPECT_TRUE(stream->send("bytes"));
  EXPECT_TRUE(stream->recv(message));
  EXPECT_EQ(message, "bytes");
  stream->cancel();
  EXPECT_FALSE(stream->recv(message));
  EXPECT_EQ(stream->finish().status().code, Code::kCancelled);
}

TEST_F(CppClient, StartedCallsAndTheLoop) {
  std::vector<std::string> payloads;
  v1::EchoRequest request;
  for (const char* payload : {"one", "two"}) {
    request.set_payload(payload);
    EXPECT_TRUE(client_
                    .start<v1::Diagnostics::Echo>(request,
                                                  [&](Reply<v1::EchoResponse> reply) {
                                                    payloads.push_back(reply.ok() ? reply->payload() : "failed");
                                                  })
                    .ok());
  }
  CallId hanging = 0;
  Code cancelled = Code::kOk;
  EXPECT_TRUE(client_
                  .start_bytes(
                      "t.T/Hang", "", [&](Reply<std::string> reply) { cancelled = reply.status().code; }, {}, &hanging)
                  .ok());
  for (int round = 0; round < 1'000 && payloads.size() < 2; ++round) client_.wait(kNoTimeout);
  EXPECT_EQ(payloads, (std::vector<std::string>{"one", "two"}));
  client_.cancel(hanging);
  EXPECT_EQ(client_.timeout(), std::chrono::milliseconds(0));
  client_.process();
  EXPECT_EQ(cancelled, Code::kCancelled);
  EXPECT_GE(client_.fd(), 0);
}

TEST_F(CppClient, AClientThatIsReplacedRunsItsCallbacksFirst) {
  Code code = Code::kOk;
  EXPECT_TRUE(client_.start_bytes("t.T/Hang", "", [&](Reply<std::string> reply) { code = reply.status().code; }).ok());
  Client other = std::move(*Client::make({.address = server_.address()}));
  client_ = std::move(other);
  EXPECT_EQ(code, Code::kCancelled);
  EXPECT_TRUE(client_.call_bytes("t.T/Echo", "x").ok());
  EXPECT_FALSE(other.start_bytes("t.T/Echo", "x", [](const Reply<std::string>&) { FAIL(); }).ok()) << "moved from";
}

TEST_F(CppClient, StartedCallsMayShareAResponse) {
  v1::EchoResponse response;
  std::vector<std::string> payloads;
  v1::EchoRequest request;
  for (const char* payload : {"one", "two"}) {
    request.set_payload(payload);
    const auto on_end = [&](const Status& status) { payloads.push_back(status.ok() ? response.payload() : "failed"); };
    EXPECT_TRUE(client_.start<v1::Diagnostics::Echo>(request, response, on_end).ok());
  }
  for (int round = 0; round < 1'000 && payloads.size() < 2; ++round) client_.wait(kNoTimeout);
  EXPECT_EQ(payloads, (std::vector<std::string>{"one", "two"}));
}

TEST_F(CppClient, ARefusedStartLeavesNoCallback) {
  auto owned = std::make_shared<int>(1);
  const auto status = client_.start_bytes("no slash", "", [owned](Reply<std::string>) { FAIL(); });
  EXPECT_EQ(status.code, Code::kInvalidArgument);
  EXPECT_EQ(owned.use_count(), 1);
}

TEST_F(CppClient, ANestedBlockingCallDoesNotDisturbTheOuterOne) {
  std::string inner;
  ASSERT_TRUE(client_
                  .start_bytes("t.T/Echo", "first",
                               [&](Reply<std::string>) { inner = *client_.call_bytes("t.T/Echo", "inner"); })
                  .ok());
  const auto outer = client_.call_bytes("t.T/Echo", "outer");
  ASSERT_TRUE(outer.ok());
  EXPECT_EQ(*outer, "outer");
  for (int round = 0; round < 100 && inner.empty(); ++round) client_.wait(kNoTimeout);
  EXPECT_EQ(inner, "inner");
}

TEST_F(CppClient, AStreamMayEndItselfInItsCallback) {
  auto opened = client_.open<v1::Diagnostics::Source>(v1::SourceRequest());
  std::optional<Stream<v1::Diagnostics::Source>> stream(*std::move(opened));
  int events = 0;
  stream->on_event([&](unsigned) {
    ++events;
    stream.reset();
    ++events;  // what the callback captured is still there
  });
  for (int round = 0; round < 1'000 && stream; ++round) client_.wait(kNoTimeout);
  EXPECT_EQ(events, 2);
}

}  // namespace
}  // namespace hostcall::test
