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
  const auto is_bounded = [&] {
    return used("web1", Resource::kMemory) > 0 &&
           used("web1", Resource::kMemory) <= BackendLink::kMaxUnsent + request.size() + 1000;
  };
  for (const auto stream : streams) caller->cancel(stream);
  settle();
  EXPECT_TRUE(is_bounded()) << "what the connection still has to send: " << used("web1", Resource::kMemory);
  for (int i = 0; i < 200; ++i) {
    caller->cancel(ask(*caller, "Get", request));
    settle();
  }
  EXPECT_TRUE(is_bounded()) << used("web1", Resource::kMemory);
  EXPECT_EQ(used("db1", Resource::kMemory), 0u);
  backend_.reads = true;
  settle();
  expect_nothing_left();
  EXPECT_LT(backend_.calls.size(), 10u) << "what was cancelled before it was sent is not sent";
  EXPECT_TRUE(works(*caller));
}

TEST_F(HostcallBackendTest, WhatIsUnsentIsEachVmsOwn) {
  const auto web = guest("web1"), db = guest("db1");
  EXPECT_TRUE(works(*web));
  for (const bool reads_again : {true, false}) {
    backend_.reads = false;
    // More than the kernel takes, in pieces that are less than what the connection may keep.
    for (int i = 0; i < 20; ++i) {
      web->cancel(ask(*web, "Get", std::string(40'000, 'x')));
      db->cancel(ask(*db, "Get", std::string(20'000, 'x')));
    }
    settle();
    EXPECT_GT(used("web1", Resource::kMemory), 0u);
    EXPECT_GT(used("db1", Resource::kMemory), 0u);
    EXPECT_LE(used("web1", Resource::kMemory) + used("db1", Resource::kMemory), BackendLink::kMaxUnsent + 50'000);
    backend_.reads = reads_again;
    if (!reads_again) backend_.disconnect(0);
    settle();
    expect_nothing_left("web1");
    expect_nothing_left("db1");
  }
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

// ---------------------------------------------------------------- many calls at once

class CrowdedBackendTest : public HostcallBackendTest {
 protected:
  static constexpr std::size_t kCalls = 600;
  CrowdedBackendTest() {
    limit("web1", [](Limits& limits) { limits.streams = 1000; });
    rig_.use_services(entry(R"(, "concurrent": 1000, "concurrent_per_vm": 1000)"));
  }
  // Three phases of a turn, with four units for each call.
  static constexpr std::size_t kMostPerTurn = 200;
};

TEST_F(CrowdedBackendTest, TheCallsOfALostConnectionEndInParts) {
  const auto caller = guest("web1");
  std::vector<std::uint32_t> streams;
  for (std::size_t i = 0; i < kCalls; ++i) streams.push_back(ask(*caller));
  ASSERT_EQ(backend_.calls.size(), kCalls);
  TurnWatcher calls(rig_.reactor, [this] { return rig_.catalog.calls_of(kInventory); });
  backend_.disconnect(0);
  settle();
  EXPECT_LE(calls.most(), kMostPerTurn);
  for (const auto stream : streams)
    expect(caller->finish(stream), Code::kUnavailable, "the server closed the connection; its outcome is unknown");
  expect_nothing_left();
  EXPECT_TRUE(works(*caller));
}

// Some end by themselves before they are told.
TEST_F(CrowdedBackendTest, CallsMayEndWhileTheyAreToldThatTheirConnectionIsLost) {
  const auto caller = guest("web1");
  std::vector<std::uint32_t> streams;
  for (std::size_t i = 0; i < kCalls; ++i) streams.push_back(ask(*caller));
  backend_.disconnect(0);
  for (std::size_t i = 0; i < kCalls; i += 2) caller->cancel(streams[kCalls - 1 - i]);
  EXPECT_TRUE(works(*caller)) << "others have another connection at once";
  settle();
  expect_nothing_left();
  EXPECT_EQ(backend_.open_connections(), 1u);
}

TEST_F(CrowdedBackendTest, CallsThatHadNotBegunEndInParts) {
  const auto caller = guest("web1");
  const auto begun = ask(*caller);
  backend_.goaway(0);
  backend_.reads = false;
  std::vector<std::uint32_t> streams;
  for (std::size_t i = 1; i < kCalls; ++i) streams.push_back(caller->start(std::string(kInventory) + "/Get", ""));
  TurnWatcher calls(rig_.reactor, [this] { return rig_.catalog.calls_of(kInventory); });
  while (caller->pump()) {
  }
  backend_.reads = true;
  settle();
  EXPECT_LE(calls.most(), kMostPerTurn);
  EXPECT_FALSE(caller->ended(begun));
  backend_.answer(backend_.calls[0], "still");
  settle();
  EXPECT_EQ(caller->finish(begun).payload, "still");
}

TEST_F(CrowdedBackendTest, CallsThatWaitedOpenInParts) {
  backend_.accepts = false;
  const auto caller = guest("web1");
  for (std::size_t i = 0; i < kCalls; ++i) ask(*caller);
  backend_.accepts = true;
  TurnWatcher calls(rig_.reactor, [this] {
    backend_.pump();
    return backend_.calls.size();
  });
  settle();
  EXPECT_EQ(backend_.calls.size(), kCalls);
  EXPECT_GT(calls.most(), 0u);
  EXPECT_LE(calls.most(), kMostPerTurn);
}

// ---------------------------------------------------------------- heartbeats

class BeatingBackendTest : public HostcallBackendTest {
 protected:
  BeatingBackendTest() { timeouts_.heartbeat = seconds(1); }
};

TEST_F(BeatingBackendTest, AServerThatHangsIsLost) {
  const auto caller = guest("web1");
  EXPECT_TRUE(works(*caller));
  const auto stream = ask(*caller, "Get", "", Shape::kUnary, seconds(600));
  backend_.reads = false;
  for (int i = 0; i < 5; ++i) caller->cancel(ask(*caller, "Get", std::string(200'000, 'x')));
  settle();
  EXPECT_GT(used("web1", Resource::kMemory), HostCall::kOwnBytes);
  const auto wait = [&](Duration time) {
    advance(time);
    while (caller->pump()) {
    }
  };
  wait(milliseconds(3900));
  EXPECT_FALSE(caller->ended(stream));
  wait(milliseconds(1200));
  ASSERT_TRUE(caller->ended(stream));
  expect(caller->finish(stream), Code::kUnavailable, "did not answer three heartbeats; its outcome is unknown");
  expect_nothing_left();
  backend_.reads = true;
  settle();  // it reads what the lost connection had sent
  EXPECT_TRUE(works(*caller)) << "on another connection";
}

TEST_F(BeatingBackendTest, AServerThatAnswersIsKeptHoweverLongACallTakes) {
  const auto caller = guest("web1");
  const auto stream = ask(*caller, "Get", "", Shape::kUnary, seconds(600));
  for (int i = 0; i < 20; ++i) advance(seconds(1));
  EXPECT_GT(backend_.endpoint(0).frames_received(), 10u) << "heartbeats";
  EXPECT_EQ(answered(*caller, stream, "late").payload, "late");
  EXPECT_EQ(backend_.connections(), 1u);
}

TEST_F(BeatingBackendTest, WhoKnowsNoPingIsNotAsked) {
  backend_.features = wire::kFeatureCancel | wire::kFeatureWindow;
  const auto caller = guest("web1");
  const auto stream = ask(*caller, "Get", "", Shape::kUnary, seconds(600));
  backend_.reads = false;
  advance(seconds(8));
  while (caller->pump()) {
  }
  EXPECT_FALSE(caller->ended(stream));
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
