// Streams of routed services: messages both ways, how they end, and what happens when one side is slow or goes away.
#include "tests/unit/daemon/services/routed_fixture.h"

namespace hostcall::daemon::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::size_t kKiB = 1024;

using RoutedStreamTest = RoutedTest;
HOSTCALL_BOTH_PROTOCOLS(RoutedStreamTest);

// What only one protocol can do.
class TtrpcStreamTest : public RoutedFixture {
 protected:
  TtrpcStreamTest() : RoutedFixture("ttrpc") {}
};
class HostcallStreamTest : public RoutedFixture {
 protected:
  HostcallStreamTest() : RoutedFixture("hostcall") {}
};

// ---------------------------------------------------------------- messages

TEST_P(RoutedStreamTest, AServerStream) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kServerStream, "from 1");
  EXPECT_EQ(backend_.last().payload, "from 1");
  EXPECT_TRUE(backend_.last().said_closed);
  EXPECT_EQ(backend_.last().timeout_nano, 0) << "a streamed reply may last";
  for (const auto* message : {"one", "", "three"}) EXPECT_TRUE(backend_.send(message));
  EXPECT_THAT(received(*caller, stream), ElementsAre("one", "", "three"));
  EXPECT_FALSE(caller->ended(stream));
  backend_.close(backend_.last());
  settle();
  EXPECT_TRUE(caller->finish(stream).status.ok());
  expect_nothing_left();
  EXPECT_TRUE(works(*caller));
  EXPECT_EQ(backend_.connections(), 1u) << "the connection is used again";
}

TEST_P(RoutedStreamTest, AServerStreamThatFails) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kServerStream);
  EXPECT_TRUE(backend_.send("one"));
  backend_.answer("", {Code::kAborted, "no more"});
  settle();
  EXPECT_THAT(received(*caller, stream), ElementsAre("one"));
  const auto answer = caller->finish(stream);
  EXPECT_EQ(answer.status.code, Code::kAborted);
  EXPECT_EQ(answer.status.message, "no more");
  expect_nothing_left();
}

TEST_P(RoutedStreamTest, AClientStream) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kClientStream);
  EXPECT_TRUE(backend_.last().remote_open);
  for (const auto* message : {"one", "", "three"}) send(*caller, stream, message);
  EXPECT_THAT(backend_.last().messages, ElementsAre("one", "", "three"));
  EXPECT_FALSE(backend_.last().closed);
  caller->close_send(stream);
  settle();
  EXPECT_TRUE(backend_.last().closed);
  EXPECT_EQ(answered(*caller, stream, "three came").payload, "three came");
  expect_nothing_left();
  EXPECT_TRUE(works(*caller));
  EXPECT_EQ(backend_.connections(), 1u);
}

// What comes with the Request of such a stream is its first message.
TEST_P(RoutedStreamTest, TheFirstMessageMayComeWithTheRequest) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kBidiStream, "first");
  EXPECT_EQ(backend_.last().payload, "");
  send(*caller, stream, "second");
  EXPECT_THAT(backend_.last().messages, ElementsAre("first", "second"));
}

TEST_P(RoutedStreamTest, MessagesBothWays) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kBidiStream);
  for (int i = 0; i < 20; ++i) {
    const auto text = std::to_string(i);
    send(*caller, stream, "to " + text);
    EXPECT_EQ(backend_.last().messages.back(), "to " + text);
    EXPECT_TRUE(backend_.send("from " + text));
    EXPECT_THAT(received(*caller, stream), ElementsAre("from " + text));
  }
  caller->close_send(stream);
  settle();
  EXPECT_TRUE(backend_.last().closed);
  backend_.close(backend_.last());
  settle();
  EXPECT_TRUE(caller->finish(stream).status.ok());
  expect_nothing_left();
}

// The caller's connection is base, so the other messages come whatever credit there is.
TEST_P(RoutedStreamTest, ABaseCallerStreams) {
  const auto caller = peer("web1");
  const auto stream = ask_stream(*caller, Shape::kBidiStream, "a");
  for (int i = 0; i < 100; ++i) send(*caller, stream, std::string(10 * kKiB, 'x'));
  EXPECT_EQ(backend_.last().messages.size(), 101u);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(backend_.send(std::string(10 * kKiB, 'y')));
    EXPECT_EQ(received(*caller, stream).size(), 1u);
  }
  EXPECT_TRUE(answered(*caller, stream, "").status.ok());
  expect_nothing_left();
}

TEST_P(RoutedStreamTest, TheServerMayEndFirst) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kBidiStream, "a");
  backend_.answer("", {Code::kOutOfRange, "enough"});
  settle();
  EXPECT_EQ(caller->finish(stream).status.code, Code::kOutOfRange);
  if (is_ttrpc()) {
    settle();
    EXPECT_FALSE(backend_.is_open(0)) << "the caller had not ended its messages, so nobody else may use it";
  }
  EXPECT_TRUE(works(*caller));
  expect_nothing_left();
}

// ---------------------------------------------------------------- ends that nobody wants

TEST_P(RoutedStreamTest, ACancelReachesTheServer) {
  const auto caller = guest("web1");
  for (const auto shape : {Shape::kUnary, Shape::kServerStream, Shape::kClientStream, Shape::kBidiStream}) {
    const auto stream = ask_stream(*caller, shape);
    auto& call = backend_.last();
    caller->cancel(stream);
    settle();
    EXPECT_EQ(call.stream, nullptr);
    EXPECT_EQ(call.cancelled, !is_ttrpc());
    EXPECT_EQ(backend_.is_open(call.connection), !is_ttrpc()) << "closing is ttrpc's only cancel";
    expect_nothing_left();
  }
  EXPECT_TRUE(works(*caller));
}

TEST_P(RoutedStreamTest, ADeadlineReachesTheServer) {
  const auto caller = guest("web1");
  const auto stream = ask(*caller, "Stream", "", Shape::kServerStream, seconds(2));
  backend_.send("one");
  settle();
  advance(seconds(3));
  expect(caller->finish(stream), Code::kDeadlineExceeded, "its outcome is unknown");
  if (is_ttrpc())
    EXPECT_FALSE(backend_.is_open(0));
  else
    EXPECT_TRUE(backend_.last().cancelled);
  expect_nothing_left();
}

TEST_P(RoutedStreamTest, AServerThatDiesEndsItsCalls) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kBidiStream, "a");
  const auto unary = ask(*caller);
  for (std::size_t i = 0; i < backend_.connections(); ++i) backend_.disconnect(i);
  settle();
  expect(caller->finish(stream), Code::kUnavailable, "its outcome is unknown");
  expect(caller->finish(unary), Code::kUnavailable, "the server closed the connection; its outcome is unknown");
  expect_nothing_left();
  EXPECT_TRUE(works(*caller));
}

// ---------------------------------------------------------------- slow sides

// Sends until the daemon takes no more. Returns the messages.
std::size_t send_all(WireClient& caller, std::uint32_t stream, const std::string& message,
                     const std::function<void()>& settle) {
  std::size_t sent = 0;
  for (; caller.try_send(stream, message) && sent < 10'000; ++sent) settle();
  return sent;
}

TEST_P(RoutedStreamTest, AServerThatDoesNotReadSlowsTheCallerDown) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kClientStream);
  backend_.reads = false;
  const auto message = std::string(16 * kKiB, 'x');
  const auto sent = send_all(*caller, stream, message, [this] { settle(); });
  EXPECT_LT(sent, 200u);
  EXPECT_LT(used("web1", Resource::kMemory), 1024 * kKiB);
  backend_.reads = true;
  settle();
  while (caller->pump()) {
  }
  EXPECT_EQ(backend_.last().messages.size(), sent);
  send(*caller, stream, "last");
  EXPECT_EQ(backend_.last().messages.back(), "last");
  caller->close_send(stream);
  settle();
  EXPECT_TRUE(answered(*caller, stream, "").status.ok());
  expect_nothing_left();
}

// What the daemon keeps for a caller that does not read is bounded, and charged to it.
TEST_P(RoutedStreamTest, ACallerThatDoesNotReadSlowsTheServerDown) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kServerStream);
  const std::string message(16 * kKiB, 'x');
  std::size_t sent = 0;
  for (; sent < 2000 && backend_.send(message); ++sent) settle();
  EXPECT_LT(sent, 200u);
  EXPECT_LT(used("web1", Resource::kMemory), 2048 * kKiB);
  std::size_t came = 0;
  while (caller->receive(stream)) ++came, settle();
  EXPECT_EQ(came, sent);
  EXPECT_TRUE(backend_.send("more"));
  backend_.close(backend_.last());
  EXPECT_THAT(received(*caller, stream), ElementsAre("more"));
  EXPECT_TRUE(caller->finish(stream).status.ok());
  expect_nothing_left();
}

TEST_P(RoutedStreamTest, TheEndWaitsForTheMessagesBeforeIt) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kServerStream);
  const std::string message(16 * kKiB, 'x');
  std::size_t sent = 0;
  for (; sent < 2000 && backend_.send(message); ++sent) settle();
  backend_.answer("", {Code::kDataLoss, "in the end"});
  settle();
  EXPECT_FALSE(caller->ended(stream));
  std::size_t came = 0;
  while (caller->receive(stream)) ++came, settle();
  EXPECT_EQ(came, sent);
  const auto answer = caller->finish(stream);
  EXPECT_EQ(answer.status.code, Code::kDataLoss);
  EXPECT_EQ(answer.status.message, "in the end");
  expect_nothing_left();
}

TEST_P(RoutedStreamTest, ACallerThatNeverReadsCanStillCancel) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kServerStream);
  for (std::size_t sent = 0; sent < 2000 && backend_.send(std::string(16 * kKiB, 'x')); ++sent) settle();
  caller->cancel(stream);
  settle();
  expect_nothing_left();
  const auto other = guest("web1", "boot-1");
  EXPECT_TRUE(works(*other));
}

// On the one connection that they share.
TEST_F(HostcallStreamTest, ASlowCallerHoldsUpNoOtherVm) {
  const auto slow = guest("web1"), other = guest("db1");
  const auto stream = ask_stream(*slow, Shape::kServerStream);
  auto& flooding = backend_.last();
  for (std::size_t sent = 0; sent < 2000 && backend_.send(flooding, std::string(16 * kKiB, 'x')); ++sent) settle();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(works(*other));
  const auto long_one = ask_stream(*other, Shape::kServerStream);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(backend_.send(std::string(16 * kKiB, 'y'))) << i;
    EXPECT_EQ(received(*other, long_one).size(), 1u);
  }
  EXPECT_EQ(backend_.connections(), 1u);
  EXPECT_FALSE(slow->ended(stream));
}

TEST_F(HostcallStreamTest, AServerThatReadsOneCallSlowlyHoldsUpNoOther) {
  const auto slow = guest("web1"), other = guest("db1");
  const auto stream = ask_stream(*slow, Shape::kClientStream);
  backend_.returns_credit = false;
  const auto sent = send_all(*slow, stream, std::string(16 * kKiB, 'x'), [this] { settle(); });
  EXPECT_LT(sent, 200u);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(works(*other));
  slow->cancel(stream);
  settle();
  expect_nothing_left();
}

TEST_F(TtrpcStreamTest, EachCallHasAConnectionOfItsOwn) {
  const auto slow = guest("web1"), other = guest("db1");
  const auto stream = ask_stream(*slow, Shape::kServerStream);
  auto& flooding = backend_.last();
  for (std::size_t sent = 0; sent < 2000 && backend_.send(flooding, std::string(16 * kKiB, 'x')); ++sent) settle();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(works(*other));
  EXPECT_EQ(backend_.connections(), 2u);
  EXPECT_FALSE(slow->ended(stream));
}

TEST_P(RoutedStreamTest, AtAStopStreamsEndAndUnaryCallsMayFinish) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kServerStream);
  const auto unary = ask(*caller);
  rig_.server.shut_down();
  settle();
  expect(caller->finish(stream), Code::kUnavailable, "hostcalld is stopping");
  EXPECT_EQ(answered(*caller, unary, "done").payload, "done");
  expect_nothing_left();
}

}  // namespace
}  // namespace hostcall::daemon::test
