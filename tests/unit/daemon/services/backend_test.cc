// The connections to the servers of routed services: which are used again, and servers that are down, slow to begin,
// leave, or say what no server should.
#include "daemon/services/backend.h"

#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/frames.h"
#include "tests/unit/daemon/services/routed_fixture.h"

namespace hostcall::daemon::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using BackendTest = RoutedTest;
HOSTCALL_BOTH_PROTOCOLS(BackendTest);

class TtrpcBackendTest : public RoutedFixture {
 protected:
  TtrpcBackendTest() : RoutedFixture("ttrpc") {}
  // So many calls at once, all answered.
  void use_at_once(WireClient& caller, std::size_t calls) {
    std::vector<std::uint32_t> streams;
    const auto before = backend_.calls.size();
    for (std::size_t i = 0; i < calls; ++i) streams.push_back(ask(caller));
    ASSERT_EQ(backend_.calls.size(), before + calls);
    for (std::size_t i = 0; i < calls; ++i) backend_.answer(backend_.calls[before + i], "");
    settle();
    for (const auto stream : streams) EXPECT_TRUE(caller.finish(stream).status.ok());
  }
};
class SharedBackendTest : public RoutedFixture {
 protected:
  SharedBackendTest() : RoutedFixture("hostcall") {}
};

// ---------------------------------------------------------------- connections that are used again

TEST_F(TtrpcBackendTest, AFreeConnectionServesTheNextCall) {
  const auto web = guest("web1"), db = guest("db1");
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(works(i % 2 == 0 ? *web : *db));
  EXPECT_EQ(backend_.connections(), 1u);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(backend_.calls[i].id, 2 * i + 1);
}

TEST_F(TtrpcBackendTest, OnlySoManyStayFree) {
  const auto caller = guest("web1");
  use_at_once(*caller, 20);
  EXPECT_EQ(backend_.connections(), 20u);
  EXPECT_EQ(backend_.open_connections(), Backend::kMaxFree);
  use_at_once(*caller, 16);
  EXPECT_EQ(backend_.connections(), 20u);
}

TEST_F(TtrpcBackendTest, AFreeConnectionIsClosedInTime) {
  const auto caller = guest("web1");
  use_at_once(*caller, 3);
  advance(Backend::kFreeLimit - seconds(1));
  EXPECT_EQ(backend_.open_connections(), 3u);
  EXPECT_TRUE(works(*guest("web1")));
  advance(seconds(2));
  EXPECT_EQ(backend_.open_connections(), 1u) << "one has been used meanwhile";
  advance(2 * Backend::kFreeLimit);
  EXPECT_EQ(backend_.open_connections(), 0u);
  EXPECT_TRUE(works(*guest("web1")));
}

TEST_P(BackendTest, AServerMayCloseAFreeConnection) {
  const auto caller = guest("web1");
  EXPECT_TRUE(works(*caller));
  backend_.disconnect(0);
  settle();
  EXPECT_TRUE(works(*caller));
  EXPECT_EQ(backend_.connections(), 2u);
}

// The daemon has no turn between the end of the connection and the next call.
TEST_F(TtrpcBackendTest, AConnectionThatEndedUnseenLosesNoCall) {
  const auto caller = guest("web1");
  use_at_once(*caller, 3);
  for (std::size_t i = 0; i < 3; ++i) backend_.disconnect(i);
  EXPECT_TRUE(works(*caller));
  EXPECT_EQ(backend_.connections(), 4u);
}

TEST_F(TtrpcBackendTest, AFreeConnectionWithUnaskedBytesIsNotUsed) {
  const auto caller = guest("web1");
  EXPECT_TRUE(works(*caller));
  backend_.send_raw(0, hostcall::test::frame(wire::FrameType::kResponse, 3, 0, "early"));
  EXPECT_TRUE(works(*caller));
  EXPECT_FALSE(backend_.is_open(0));
}

// A frame that has begun would be the next call's, whose VM would pay for it.
TEST_F(TtrpcBackendTest, AFreeConnectionWithHalfAFrameIsNotUsed) {
  const auto caller = guest("web1");
  EXPECT_TRUE(works(*caller));
  backend_.send_raw(0, hostcall::test::header(1000, 1, wire::FrameType::kData) + "half");
  settle();
  EXPECT_TRUE(works(*caller));
  EXPECT_EQ(backend_.connections(), 2u);
}

// What is unsent would be kept for nobody.
TEST_F(TtrpcBackendTest, AConnectionWithUnsentBytesDoesNotBecomeFree) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kClientStream);
  backend_.reads = false;
  for (int i = 0; i < 20 && caller->try_send(stream, std::string(30'000, 'x')); ++i) settle();
  caller->close_send(stream);
  settle();
  const auto answer = answered(*caller, stream, "enough");
  EXPECT_TRUE(answer.status.ok());
  backend_.reads = true;
  settle();
  EXPECT_EQ(backend_.open_connections(), 0u);
  expect_nothing_left();
}

// With all of the heap that it takes.
TEST_F(TtrpcBackendTest, AMessageThatIsPartlySentIsCharged) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kClientStream);
  const auto at_rest = used("web1", Resource::kMemory);
  EXPECT_GE(at_rest, HostCall::kOwnBytes + BackendLink::kOwnBytes);
  backend_.reads = false;
  constexpr std::size_t kMessage = 200'000;
  for (int i = 0; i < 20 && used("web1", Resource::kMemory) == at_rest; ++i)
    send(*caller, stream, std::string(kMessage, 'x'));
  EXPECT_GT(used("web1", Resource::kMemory), at_rest);
  backend_.reads = true;
  settle();
  EXPECT_EQ(used("web1", Resource::kMemory), at_rest);
  caller->cancel(stream);
  settle();
  expect_nothing_left();
}

// However many calls have their messages kept, and although each message is small.
TEST_F(TtrpcBackendTest, MessagesThatAreNotReadStayWithinTheMemoryOfTheVm) {
  constexpr std::size_t kLimit = 512 * 1024, kMessage = 2000;
  limit("web1", [](Limits& limits) { limits.memory_bytes = kLimit; });
  backend_.reads = false;
  const auto caller = peer("web1");  // no windows
  std::vector<std::uint32_t> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(ask_stream(*caller, Shape::kClientStream));
  for (int i = 0; i < 300; ++i) {
    for (const auto stream : streams)
      if (!caller->ended(stream)) (void)caller->try_send(stream, std::string(kMessage, 'x'));
    settle();
    ASSERT_LE(used("web1", Resource::kMemory), kLimit + 64 * 1024);
  }
  while (caller->pump()) {
  }
  const auto ended = std::ranges::find_if(streams, [&](auto stream) { return caller->ended(stream); });
  ASSERT_NE(ended, streams.end());
  expect(caller->finish(*ended), Code::kResourceExhausted, "the limit memory_bytes");
}

TEST_F(SharedBackendTest, AllCallsShareOneConnection) {
  const auto web = guest("web1"), db = guest("db1");
  for (int i = 0; i < 20; ++i) ask(i % 2 == 0 ? *web : *db);
  EXPECT_EQ(backend_.connections(), 1u);
  ASSERT_EQ(backend_.calls.size(), 20u);
  // In another order.
  for (std::size_t i = 20; i > 0; --i) backend_.answer(backend_.calls[i - 1], std::to_string(i - 1));
  settle();
  for (std::uint32_t i = 0; i < 20; ++i)
    EXPECT_EQ((i % 2 == 0 ? *web : *db).finish(3 + 2 * (i / 2)).payload, std::to_string(i));
  advance(3 * Backend::kFreeLimit);
  EXPECT_EQ(backend_.open_connections(), 0u);
  EXPECT_TRUE(works(*guest("web1")));
}

// ---------------------------------------------------------------- servers that are down

TEST_P(BackendTest, AServerThatIsDownFailsCallsAtOnce) {
  const auto caller = guest("web1");
  backend_.stop_listening();
  const auto refused = caller->finish(ask(*caller));
  expect(refused, Code::kUnavailable, "connect to its socket: Connection refused");
  EXPECT_THAT(refused.status.message, Not(HasSubstr(path()))) << "guests need not know the host's paths";
  std::filesystem::remove(path());
  expect(caller->finish(ask(*caller)), Code::kUnavailable, "No such file or directory");
  expect_nothing_left();
  backend_.listen();
  EXPECT_TRUE(works(*caller));
}

TEST_P(BackendTest, AServerMayRestartBetweenCalls) {
  const auto caller = guest("web1");
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(works(*caller));
    backend_.stop_listening();
    for (std::size_t at = 0; at < backend_.connections(); ++at) backend_.disconnect(at);
    backend_.listen();
  }
  EXPECT_TRUE(works(*caller));
}

TEST_P(BackendTest, NoSocketOfHostcalldItselfIsAServer) {
  const HostCallEnvironment environment{rig_.reactor, rig_.catalog, runner_, host_calls_, ::getpid()};
  const RoutedServices routes(environment);
  rig_.router.add_routes(routes);
  const auto caller = guest("web1");
  expect(caller->finish(ask(*caller)), Code::kUnavailable, "belongs to hostcalld itself");
  expect_nothing_left();
}

// The last descriptors are the administrator's.
TEST_F(TtrpcBackendTest, CallsLeaveDescriptorsForOthers) {
  const HostCallEnvironment environment{.reactor = rig_.reactor,
                                        .catalog = rig_.catalog,
                                        .runner = runner_,
                                        .calls = host_calls_,
                                        .own_pid = -1,
                                        .descriptors = DescriptorShares(8)};
  const RoutedServices routes(environment);
  rig_.router.add_routes(routes);
  const auto caller = guest("web1");
  expect(caller->finish(ask(*caller)), Code::kResourceExhausted, "no file descriptor left");
  expect_nothing_left();
}

class FullBacklogTest : public RoutedTest {
 protected:
  FullBacklogTest() {
    backend_.accepts = false;
    backend_.set_backlog(0);
    // One connection fits.
    filler_ = net::start_connect(net::unix_address(path()), milliseconds(0)).value();
  }
  UniqueFd filler_;
};
HOSTCALL_BOTH_PROTOCOLS(FullBacklogTest);

// It has seen nothing of the request.
TEST_F(TtrpcBackendTest, ACallWaitsALittleAlsoWhenAFreeConnectionTakesNoRequest) {
  const auto caller = guest("web1");
  EXPECT_TRUE(works(*caller));
  backend_.accepts = false;
  backend_.set_backlog(0);
  const auto filler = net::start_connect(net::unix_address(path()), milliseconds(0));
  ASSERT_TRUE(filler.ok());
  backend_.stop_reading(0);
  const auto stream = ask(*caller, "Get", "kept");
  EXPECT_FALSE(caller->ended(stream));
  backend_.accepts = true;
  settle();
  advance(milliseconds(40));
  ASSERT_EQ(backend_.calls.size(), 2u);
  EXPECT_EQ(backend_.last().payload, "kept");
  EXPECT_EQ(answered(*caller, stream, "late").payload, "late");
  expect_nothing_left();
}

// A connection costs the caller more than a call on one that is there.
TEST_F(TtrpcBackendTest, NewConnectionsAreOfTheCallersTime) {
  constexpr std::size_t kCalls = 100;
  rig_.use_services(entry(R"(, "concurrent": 100, "concurrent_per_vm": 100)"));
  const auto caller = guest("web1");
  for (std::size_t i = 0; i < kCalls; ++i) caller->start(std::string(kInventory) + "/Get", "");
  TurnWatcher connections(rig_.reactor, [this] { return rig_.catalog.calls_of(kInventory); });
  settle();
  EXPECT_EQ(backend_.connections(), kCalls);
  EXPECT_LE(connections.most(), kCalls / 2);
}

TEST_P(FullBacklogTest, ACallWaitsALittle) {
  const auto caller = guest("web1");
  const auto stream = ask(*caller);
  EXPECT_FALSE(caller->ended(stream));
  advance(milliseconds(50));
  EXPECT_FALSE(caller->ended(stream));
  backend_.accepts = true;
  settle();
  advance(milliseconds(20));
  ASSERT_EQ(backend_.calls.size(), 1u);
  EXPECT_EQ(backend_.last().payload, "request");
  EXPECT_EQ(answered(*caller, stream, "late").payload, "late");
  expect_nothing_left();
}

TEST_P(FullBacklogTest, ACallDoesNotWaitForLong) {
  const auto caller = guest("web1");
  const auto stream = ask(*caller);
  advance(milliseconds(200));
  expect(caller->finish(stream), Code::kUnavailable, "the backlog of its socket is full");
  expect_nothing_left();
}

TEST_P(FullBacklogTest, ACallThatWaitsCanBeCancelled) {
  const auto caller = guest("web1");
  const auto stream = ask_stream(*caller, Shape::kBidiStream, "a");
  send(*caller, stream, "b");
  EXPECT_GT(used("web1", Resource::kMemory), HostCall::kOwnBytes) << "what is kept is charged";
  caller->cancel(stream);
  settle();
  expect_nothing_left();
  backend_.accepts = true;
  advance(milliseconds(200));
  EXPECT_TRUE(backend_.calls.empty());
}

// ---------------------------------------------------------------- servers that answer wrongly

TEST_P(BackendTest, AReplyThatIsTooLargeEndsItsCall) {
  const auto caller = guest("web1");
  const auto stream = ask(*caller);
  backend_.send_raw(0, hostcall::test::header(wire::kMaxDataBytes + 1, backend_.last().id, wire::FrameType::kResponse));
  settle();
  expect(caller->finish(stream), Code::kResourceExhausted, "a reply of \"acme.v1.Inventory\" has more than 4 MiB");
  expect_nothing_left();
  EXPECT_TRUE(works(*caller));
}

TEST_P(BackendTest, BytesThatAreNoAnswerEndTheConnection) {
  const auto caller = guest("web1");
  const auto id = is_ttrpc() ? 1u : 3u;  // of a connection's first call
  const std::string bad[] = {"HTTP/1.1 400 Bad Request\r\n\r\n",
                             hostcall::test::frame(wire::FrameType::kRequest, 1, 0, ""),
                             hostcall::test::frame(wire::FrameType::kResponse, 9999, 0, ""),
                             hostcall::test::frame(wire::FrameType::kData, 9999, 0, "x"),
                             hostcall::test::frame(wire::FrameType::kResponse, id, 0, "\xff\xff"),
                             hostcall::test::frame(static_cast<wire::FrameType>(0x77), 1, 0, "")};
  for (const auto& bytes : bad) {
    const auto stream = ask(*caller);
    backend_.send_raw(backend_.last().connection, bytes);
    settle();
    expect(caller->finish(stream), Code::kUnavailable, "the server broke the protocol");
    EXPECT_FALSE(backend_.is_open(backend_.last().connection));
    expect_nothing_left();
  }
  EXPECT_TRUE(works(*caller));
}

TEST_P(BackendTest, AServerThatSendsHalfAFrameIsPaidForByItsCaller) {
  if (!is_ttrpc()) return;
  const auto caller = guest("web1");
  const auto stream = ask(*caller);
  const auto before = used("web1", Resource::kMemory);
  backend_.send_raw(0, hostcall::test::header(1'000'000, 1, wire::FrameType::kResponse) + std::string(100'000, 'x'));
  settle();
  EXPECT_GE(used("web1", Resource::kMemory), before + 100'000);
  caller->cancel(stream);
  settle();
  expect_nothing_left();
}

}  // namespace
}  // namespace hostcall::daemon::test
