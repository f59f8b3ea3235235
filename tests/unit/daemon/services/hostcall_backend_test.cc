// Servers with "protocol": "hostcall": Hello, Goaway, and a connection that all calls share although its server does
// not read.
#include "tests/support/frames.h"
#include "tests/unit/daemon/services/routed_fixture.h"

namespace hostcall::daemon::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Hello = ScriptedBackend::Hello;

class HostcallBackendTest : public RoutedFixture {
 protected:
  HostcallBackendTest() : RoutedFixture("hostcall") {}
};

// ---------------------------------------------------------------- Hello

TEST_F(HostcallBackendTest, CallsWaitForHello) {
  backend_.accepts = false;
  const auto web = guest("web1"), db = guest("db1");
  const auto first = ask(*web, "Get", "one");
  const auto second = ask_stream(*db, Shape::kBidiStream, "two");
  send(*db, second, "three");
  EXPECT_GT(used("web1", Resource::kMemory), HostCall::kOwnBytes) << "a request that waits is charged";
  backend_.accepts = true;
  settle();
  ASSERT_EQ(backend_.calls.size(), 2u);
  EXPECT_EQ(backend_.connections(), 1u);
  EXPECT_EQ(backend_.calls[0].payload, "one");
  EXPECT_EQ(backend_.calls[1].payload, "");
  EXPECT_THAT(backend_.calls[1].messages, testing::ElementsAre("two", "three"));
  EXPECT_EQ(used("web1", Resource::kMemory), HostCall::kOwnBytes);
  backend_.answer(backend_.calls[0], "1");
  settle();
  EXPECT_EQ(web->finish(first).payload, "1");
}

TEST_F(HostcallBackendTest, ACallThatWaitsForHelloCanBeCancelled) {
  backend_.accepts = false;
  const auto caller = guest("web1");
  const auto stream = ask(*caller);
  caller->cancel(stream);
  settle();
  expect_nothing_left();
  backend_.accepts = true;
  EXPECT_TRUE(works(*caller));
  EXPECT_EQ(backend_.calls.size(), 1u);
}

TEST_F(HostcallBackendTest, TheDeadlineOfACallThatWaitedIsWhatIsLeft) {
  backend_.accepts = false;
  const auto caller = guest("web1");
  ask(*caller, "Get", "", Shape::kUnary, seconds(4));
  advance(seconds(1));
  backend_.accepts = true;
  settle();
  EXPECT_EQ(backend_.last().timeout_nano, nanoseconds(seconds(3)).count());
}

TEST_F(HostcallBackendTest, HelloMustBeAnsweredInTime) {
  backend_.hello = Hello::kNothing;
  const auto caller = guest("web1");
  const auto stream = ask(*caller);
  advance(BackendLink::kHelloLimit - milliseconds(100));
  EXPECT_FALSE(caller->ended(stream));
  const auto late = ask(*caller);
  advance(milliseconds(200));
  for (const auto each : {stream, late}) {
    const auto answer = caller->finish(each);
    expect(answer, Code::kUnavailable, "did not answer Hello within 5 s");
    EXPECT_THAT(answer.status.message, Not(HasSubstr("outcome"))) << "the server has not seen the call";
  }
  expect_nothing_left();
  backend_.hello = Hello::kAgree;
  EXPECT_TRUE(works(*caller));
}

TEST_F(HostcallBackendTest, AWrongHelloEndsTheConnection) {
  const auto caller = guest("web1");
  const std::pair<Hello, const char*> wrong[] = {
      {Hello::kRefuse,
       R"(refused Hello: UNIMPLEMENTED, no such service; for a server of ttrpc alone, write "protocol": "ttrpc")"},
      {Hello::kMalformed, "the server's answer to Hello is malformed"},
      {Hello::kBadWindow, "the server broke the protocol: initial window"},
      {Hello::kNoFeatures, "knows no cancellation and no windows"}};
  for (const auto& [hello, text] : wrong) {
    backend_.hello = hello;
    const auto first = ask(*caller), second = ask(*caller);
    expect(caller->finish(first), Code::kUnavailable, text);
    expect(caller->finish(second), Code::kUnavailable, text);
    EXPECT_EQ(backend_.open_connections(), 0u) << text;
    expect_nothing_left();
  }
  backend_.hello = Hello::kAgree;
  EXPECT_TRUE(works(*caller));
}

TEST_F(HostcallBackendTest, CancellationAndWindowsAreNeeded) {
  const auto caller = guest("web1");
  for (const auto missing : {wire::kFeatureCancel, wire::kFeatureWindow}) {
    backend_.features = wire::kAllFeatures & ~std::uint64_t{missing};
    expect(caller->finish(ask(*caller)), Code::kUnavailable, "knows no cancellation and no windows");
  }
  backend_.features = wire::kFeatureCancel | wire::kFeatureWindow;
  EXPECT_TRUE(works(*caller));
}

TEST_F(HostcallBackendTest, AServerThatClosesInsteadOfHello) {
  backend_.accepts = false;
  const auto caller = guest("web1");
  const auto stream = ask(*caller);
  backend_.hello = Hello::kNothing;
  backend_.accepts = true;
  settle();
  backend_.disconnect(0);
  settle();
  expect(caller->finish(stream), Code::kUnavailable, "the server closed the connection");
  expect_nothing_left();
}

// ---------------------------------------------------------------- Goaway

TEST_F(HostcallBackendTest, CallsThatHadBegunFinishAfterGoaway) {
  const auto caller = guest("web1");
  const auto begun = ask(*caller);
  backend_.goaway(0);
  settle();
  EXPECT_TRUE(works(*caller));
  EXPECT_EQ(backend_.connections(), 2u);
  EXPECT_TRUE(backend_.is_open(0));
  backend_.answer(backend_.calls[0], "still");
  settle();
  EXPECT_EQ(caller->finish(begun).payload, "still");
  EXPECT_TRUE(works(*caller));
  EXPECT_FALSE(backend_.is_open(0)) << "its last call has ended";
  expect_nothing_left();
}

TEST_F(HostcallBackendTest, CallsThatHadNotBegunEndAtGoaway) {
  const auto caller = guest("web1");
  const auto begun = ask(*caller);
  backend_.goaway(0);
  // The daemon sends before it reads.
  backend_.reads = false;
  const auto crossing = caller->start(std::string(kInventory) + "/Get", "");
  while (caller->pump()) {
  }
  backend_.reads = true;
  settle();
  ASSERT_TRUE(caller->ended(crossing)) << "Goaway has come in the meantime, so the call needs a connection of its own";
  const auto answer = caller->finish(crossing);
  if (!answer.status.ok()) {
    EXPECT_THAT(answer.status.message, HasSubstr("has not begun the call"));
    EXPECT_THAT(answer.status.message, Not(HasSubstr("outcome is unknown")));
  }
  backend_.answer(backend_.calls[0], "still");
  settle();
  EXPECT_EQ(caller->finish(begun).payload, "still");
  expect_nothing_left();
}

// A server that leaves after each call leaves no connections behind.
TEST_F(HostcallBackendTest, ConnectionsThatWereLeftAreClosed) {
  const auto caller = guest("web1");
  for (std::size_t i = 0; i < 50; ++i) {
    EXPECT_TRUE(works(*caller));
    backend_.goaway(i);
    settle();
  }
  EXPECT_TRUE(works(*caller));
  EXPECT_EQ(backend_.connections(), 51u);
  EXPECT_EQ(backend_.open_connections(), 1u);
}

// ---------------------------------------------------------------- a server that does not read

// What callers have the daemon keep is charged to them, however often they open and cancel.
TEST_F(HostcallBackendTest, RequestsThatAreNotReadAreKeptByTheirCallers) {
  const auto caller = guest("web1");
  EXPECT_TRUE(works(*caller));
  backend_.reads = false;
  const std::string request(200'000, 'x');
  std::vector<std::uint32_t> streams;
  for (int i = 0; i < 10; ++i) streams.push_back(ask(*caller, "Get", request));
  EXPECT_GE(used("web1", Resource::kMemory), 7 * request.size());
  for (const auto stream : streams) caller->cancel(stream);
  settle();
  expect_nothing_left();
  for (int i = 0; i < 200; ++i) {
    caller->cancel(ask(*caller, "Get", request));
    settle();
  }
  expect_nothing_left();
  backend_.reads = true;
  settle();
  EXPECT_LT(backend_.calls.size(), 10u) << "what was cancelled before it was sent is not sent";
  EXPECT_TRUE(works(*caller));
}

TEST_F(HostcallBackendTest, CallsGoOnWhenTheServerReadsAgain) {
  const auto web = guest("web1"), db = guest("db1");
  EXPECT_TRUE(works(*web));
  backend_.calls.clear();
  backend_.reads = false;
  std::vector<std::uint32_t> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(ask(i % 2 == 0 ? *web : *db, "Get", std::string(100'000, 'x')));
  backend_.reads = true;
  settle();
  ASSERT_EQ(backend_.calls.size(), 20u);
  for (auto& call : backend_.calls) backend_.answer(call, "");
  settle();
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE((i % 2 == 0 ? *web : *db).finish(streams[static_cast<std::size_t>(i)]).status.ok());
  expect_nothing_left();
  expect_nothing_left("db1");
}

// A connection that only calls wait for is in use, too.
TEST_F(HostcallBackendTest, ACallMayWaitForLong) {
  EXPECT_TRUE(works(*guest("web1")));
  backend_.calls.clear();
  backend_.reads = false;
  const auto caller = guest("web1");
  std::vector<std::uint32_t> streams;
  for (int i = 0; i < 10; ++i)
    streams.push_back(ask(*caller, "Get", std::string(200'000, 'x'), Shape::kUnary, seconds(600)));
  const auto last = streams.back();
  streams.pop_back();
  for (const auto stream : streams) caller->cancel(stream);
  // The caller answers its heartbeats meanwhile.
  for (auto left = 3 * Backend::kFreeLimit; left > Duration::zero(); left -= seconds(5)) {
    advance(seconds(5));
    while (caller->pump()) {
    }
  }
  ASSERT_FALSE(caller->ended(last));
  backend_.reads = true;
  settle();
  ASSERT_FALSE(backend_.calls.empty());
  ASSERT_NE(backend_.last().stream, nullptr) << "the call that waited has not come";
  EXPECT_EQ(answered(*caller, last, "late").payload, "late");
  EXPECT_EQ(backend_.connections(), 1u);
  expect_nothing_left();
}

TEST_F(HostcallBackendTest, APingIsAnsweredWithoutACall) {
  const auto caller = guest("web1");
  EXPECT_TRUE(works(*caller));
  const auto before = backend_.endpoint(0).frames_received();
  backend_.endpoint(0).send_ping(7);
  settle();
  EXPECT_EQ(backend_.endpoint(0).frames_received(), before + 1);
}

// Each Ping needs an answer.
TEST_F(HostcallBackendTest, AServerThatAsksWithoutReadingIsLeft) {
  const auto caller = guest("web1");
  const auto stream = ask(*caller);
  backend_.reads = false;
  std::string pings;
  for (int i = 0; i < 10'000; ++i) pings += hostcall::test::frame(wire::FrameType::kPing, 0, 0, "12345678");
  for (int i = 0; i < 100 && !caller->ended(stream); ++i) {
    for (std::string_view rest = pings; !rest.empty() && !caller->ended(stream);) {
      rest.remove_prefix(backend_.send_raw(0, rest));
      rig_.settle();
      while (caller->pump()) {
      }
    }
  }
  ASSERT_TRUE(caller->ended(stream));
  expect(caller->finish(stream), Code::kUnavailable, "the server does not read; its outcome is unknown");
  expect_nothing_left();
  backend_.reads = true;
  EXPECT_TRUE(works(*caller));
}

}  // namespace
}  // namespace hostcall::daemon::test
