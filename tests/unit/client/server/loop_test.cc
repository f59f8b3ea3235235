#include <gmock/gmock.h>
#include <poll.h>

#include <csignal>
#include <stdexcept>
#include <thread>

#include "tests/support/patience.h"
#include "tests/unit/client/server/server_rig.h"

namespace hostcall::test {
namespace {

using testing::ElementsAre;
using wire::Code;
using wire::Shape;

class LoopTest : public testing::Test, protected ServerRig {
 protected:
  bool readable() const {
    pollfd ready{server->fd(), POLLIN, 0};
    return ::poll(&ready, 1, 0) == 1;
  }
};

TEST_F(LoopTest, TheDescriptorTellsWhenToProcess) {
  start();
  serve_echo();
  server->process();
  EXPECT_FALSE(readable());
  EXPECT_EQ(server->timeout(), std::nullopt);
  const int fd = server->fd();
  WireClient client(address);
  EXPECT_TRUE(readable());
  server->process();
  EXPECT_EQ(server->timeout(), options.first_byte_timeout);
  const auto call = client.start(Echo::kFullName, {});
  EXPECT_TRUE(readable());
  server->process();
  EXPECT_TRUE(client.finish(call).arrived);
  EXPECT_EQ(server->fd(), fd);
}

// What a handle does outside of process() makes the descriptor readable.
TEST_F(LoopTest, AnAnswerFromElsewhereIsSentByTheNextProcess) {
  start();
  std::optional<Responder<Echo>> kept;
  server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest&) { kept = responder; });
  WireClient client(address);
  const auto call = client.start(Echo::kFullName, {});
  pump();
  ASSERT_TRUE(kept);
  EXPECT_FALSE(readable());
  kept->finish(v1::EchoResponse());
  EXPECT_TRUE(readable());
  server->process();
  EXPECT_TRUE(client.finish(call).status.ok());
  EXPECT_FALSE(readable());
}

TEST_F(LoopTest, PostedFunctionsRunInOrder) {
  start();
  std::vector<int> ran;
  for (int i = 0; i < 3; ++i) server->post([&ran, i] { ran.push_back(i); });
  server->post([&] { server->post([&] { ran.push_back(4); }); });
  server->post([] { throw std::runtime_error("posted"); });
  server->post([&] { ran.push_back(3); });
  EXPECT_TRUE(readable());
  EXPECT_TRUE(ran.empty());
  server->process();
  EXPECT_THAT(ran, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(errors, ElementsAre("|posted"));
  EXPECT_TRUE(readable());
  server->process();
  EXPECT_EQ(ran.size(), 5u);
}

TEST_F(LoopTest, OtherThreadsAnswerByPosting) {
  constexpr int kCalls = 200;
  options.clock = nullptr;
  start();
  std::vector<std::thread> workers;
  server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest& request) {
    auto payload = request.payload();
    // The copy dies in the server's thread, as it has to.
    workers.emplace_back([this, payload, shared = std::make_shared<Responder<Echo>>(responder)]() mutable {
      server->post([payload, shared = std::move(shared)] {
        v1::EchoResponse reply;
        reply.set_payload(payload);
        shared->finish(reply);
      });
    });
  });
  std::thread loop([&] { server->run(); });
  WireClient client(address);
  for (int i = 0; i < kCalls; ++i)
    EXPECT_EQ(echoed(client.call(Echo::kFullName, echo_request(std::to_string(i))).payload), std::to_string(i));
  server->stop();
  loop.join();
  for (auto& worker : workers) worker.join();
  EXPECT_TRUE(server->stopped());
}

TEST_F(LoopTest, StopLetsCallsFinish) {
  start();
  std::optional<Responder<Echo>> kept;
  bool stream_cancelled = false;
  server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest&) { kept = responder; });
  server->serve_stream<Source>([&](const ServerStream<Source>& stream, const v1::SourceRequest&) {
    stream.on_cancel([&stream_cancelled, stream] { stream_cancelled = true; });
  });
  const auto client = connect_extended();
  const auto call = client->start(Echo::kFullName, {});
  const auto stream = client->start(Source::kFullName, {}, Shape::kServerStream);
  pump();
  server->stop();
  EXPECT_TRUE(readable());
  pump();
  EXPECT_TRUE(stream_cancelled);
  EXPECT_EQ(client->finish(stream).status.code, Code::kUnavailable);
  EXPECT_TRUE(client->wait_for_goaway());
  EXPECT_FALSE(server->stopped());
  EXPECT_THROW(connect(), std::runtime_error);
  v1::EchoResponse reply;
  reply.set_payload("in time");
  kept->finish(reply);
  EXPECT_EQ(echoed(client->finish(call).payload), "in time");
  EXPECT_TRUE(client->wait_for_close());
  EXPECT_TRUE(server->stopped());
}

TEST_F(LoopTest, StopWaitsNoLongerThanTheDrainTime) {
  start();
  std::optional<Responder<Echo>> kept;
  server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest&) { kept = responder; });
  const auto client = connect();
  const auto call = client->start(Echo::kFullName, {});
  pump();
  server->stop();
  pump();
  EXPECT_EQ(server->timeout(), options.drain_time);
  const auto late = client->start(Echo::kFullName, {});
  EXPECT_EQ(client->finish(late).status.code, Code::kUnavailable);
  advance(options.drain_time);
  EXPECT_TRUE(kept->cancelled());
  EXPECT_EQ(client->finish(call).status.code, Code::kUnavailable);
  EXPECT_TRUE(client->wait_for_close());
  EXPECT_TRUE(server->stopped());
}

TEST_F(LoopTest, AnIdleServerStopsAtOnce) {
  start();
  const auto idle = connect();
  pump();
  server->stop();
  server->run();
  EXPECT_TRUE(server->stopped());
}

Server* signalled = nullptr;

TEST_F(LoopTest, ASignalHandlerMayStopIt) {
  options.clock = nullptr;
  start();
  signalled = &*server;
  const auto before = std::signal(SIGUSR1, [](int) { signalled->stop(); });
  server->post([] { std::raise(SIGUSR1); });
  server->run();
  std::signal(SIGUSR1, before);
  EXPECT_TRUE(server->stopped());
}

TEST_F(LoopTest, TheDestructorEndsCalls) {
  start();
  std::optional<Responder<Echo>> kept;
  bool cancelled = false;
  server->serve_later<Echo>([&](const Responder<Echo>& responder, const v1::EchoRequest&) {
    kept = responder;
    responder.on_cancel([&] { cancelled = true; });
  });
  const auto client = connect_extended();
  const auto call = client->start(Echo::kFullName, {});
  pump();
  server.reset();
  EXPECT_TRUE(cancelled);
  EXPECT_TRUE(kept->cancelled());
  EXPECT_EQ(client->finish(call).status.code, Code::kUnavailable);
  EXPECT_TRUE(client->wait_for_close());
  EXPECT_EQ(kept->call().method(), Echo::kFullName);
  kept->finish(v1::EchoResponse());
}

TEST_F(LoopTest, IsMovable) {
  start();
  serve_echo();
  const auto client = connect();
  ASSERT_TRUE(client->call(Echo::kFullName).status.ok());
  Server moved = *std::move(server);
  server.emplace(std::move(moved));
  EXPECT_TRUE(client->call(Echo::kFullName).status.ok());
}

}  // namespace
}  // namespace hostcall::test
