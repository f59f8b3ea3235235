// Relay: connections to sockets that the test serves, with half-close, back-pressure, limits, and everything that the
// two sides can do wrong.
#include "daemon/services/relay_service.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "daemon/services/host_connector.h"
#include "hostcall/v1/relay.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "proto/net/socket.h"
#include "tests/support/frames.h"
#include "tests/support/scripted_runner.h"
#include "tests/unit/daemon/services/fixture.h"

namespace hostcall::daemon {
namespace {

using test::WireClient;
using v1::Relay::Open;
using wire::Shape;

constexpr std::size_t kKiB = 1024;
constexpr Duration kTick = milliseconds(1);
constexpr pid_t kNobody = -1;

v1::OpenRequest to(const std::string& service, const std::string& data = "", bool eof = false) {
  v1::OpenRequest request;
  request.set_service(service);
  request.set_data(data);
  request.set_eof(eof);
  return request;
}
v1::OpenRequest bytes(const std::string& data, bool eof = false) { return to("", data, eof); }

// A server of the host.
class Backend {
 public:
  explicit Backend(const std::string& path) {
    auto listening = net::listen(net::unix_address(path));
    EXPECT_TRUE(listening.ok()) << listening.error().message();
    listener_ = std::move(listening).value();
  }
  bool accept() {
    auto accepted = net::accept(listener_.get());
    if (!accepted.ok()) return false;
    fds_.push_back(std::move(accepted).value());
    return true;
  }
  // Of the last connection.
  int fd() const { return fds_.back().get(); }
  void close() { fds_.pop_back(); }
  void close_listener() { listener_.reset(); }
  void say(const std::string& text) {
    ASSERT_EQ(::send(fd(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  void end_saying() { ASSERT_EQ(::shutdown(fd(), SHUT_WR), 0); }
  // What has come; "<end>" behind it if that was all.
  std::string heard() {
    std::string text;
    char buffer[64 * kKiB];
    for (;;) {
      const auto got = ::recv(fd(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (got < 0) return text;
      if (got == 0) return text + "<end>";
      text.append(buffer, static_cast<std::size_t>(got));
    }
  }

 private:
  UniqueFd listener_;
  std::vector<UniqueFd> fds_;
};

class RelayTest : public test::ServicesFixture {
 protected:
  RelayTest() {
    // The test serves the sockets in this process.
    register_relay_service(rig_.router, {rig_.reactor, rig_.catalog, runner_, host_calls_, kNobody});
    rig_.router.protocol<v1::Session::Hello>(Audience::kGuest);
    rig_.start();
    use(R"({"name": "echo", "socket": "unix:)" + path() + "\"}");
  }
  void use(const std::string& entries) { rig_.use_services(R"({"services": [)" + entries + "]}"); }
  void use_with(const std::string& members) {
    use(R"({"name": "echo", "socket": "unix:)" + path() + "\", " + members + "}");
  }
  std::string path() const { return rig_.directory / "backend.sock"; }

  std::uint32_t open(WireClient& caller, const v1::OpenRequest& first = to("echo"), Duration timeout = {}) {
    return start<Open>(caller, first, timeout);
  }
  // Opens a connection that stays open.
  std::uint32_t connected(WireClient& caller) {
    const auto stream = open(caller);
    EXPECT_TRUE(backend_.accept());
    expect_greeting(caller, stream);
    return stream;
  }
  void expect_greeting(WireClient& caller, std::uint32_t stream) {
    const auto greeting = receive<Open>(caller, stream);
    ASSERT_TRUE(greeting);
    EXPECT_EQ(greeting->ByteSizeLong(), 0u);
  }
  void send(WireClient& caller, std::uint32_t stream, const v1::OpenRequest& request) {
    ASSERT_TRUE(caller.send(stream, request));
    settle();
  }
  std::string received(WireClient& caller, std::uint32_t stream) {
    settle();
    std::string text;
    while (const auto message = receive<Open>(caller, stream))
      text += message->data() + (message->eof() ? "<eof>" : "");
    return text;
  }
  Status ended(WireClient& caller, std::uint32_t stream) { return caller.finish(stream).status; }
  void expect_nothing_left() {
    EXPECT_EQ(used("web1", Resource::kMemory), 0u);
    EXPECT_EQ(used("web1", Resource::kStreams), 0u);
    EXPECT_EQ(rig_.catalog.calls_of("echo"), 0u);
  }

  Backend backend_{path()};
};

class OwnSocketTest : public test::ServicesFixture {
 protected:
  OwnSocketTest() {
    register_relay_service(rig_.router, {rig_.reactor, rig_.catalog, runner_, host_calls_});
    rig_.router.protocol<v1::Session::Hello>(Audience::kGuest);
    rig_.start();
  }
};

// ---------------------------------------------------------------- bytes

TEST_F(RelayTest, CarriesBytesBothWays) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  send(*caller, stream, bytes("hello"));
  EXPECT_EQ(backend_.heard(), "hello");
  backend_.say("hi");
  EXPECT_EQ(received(*caller, stream), "hi");
  EXPECT_EQ(used("web1", Resource::kMemory), HostCall::kOwnBytes);
  EXPECT_EQ(rig_.catalog.calls_of("echo"), 1u);
}

// Stock clients send no message with a Request that opens a stream.
TEST_F(RelayTest, TheFirstMessageMayComeAloneOrWithTheRequest) {
  const auto caller = peer("web1");
  const auto alone = open(*caller, {});
  EXPECT_TRUE(is_quiet(*caller));
  send(*caller, alone, to("echo", "first"));
  ASSERT_TRUE(backend_.accept());
  EXPECT_EQ(backend_.heard(), "first");
  expect_greeting(*caller, alone);
  const auto with = open(*caller, to("echo", "second"));
  ASSERT_TRUE(backend_.accept());
  EXPECT_EQ(backend_.heard(), "second");
  expect_greeting(*caller, with);
}

TEST_F(RelayTest, EachSideEndsItsBytesByItself) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  send(*caller, stream, bytes("question", true));
  EXPECT_EQ(backend_.heard(), "question<end>");
  backend_.say("answer");
  EXPECT_EQ(received(*caller, stream), "answer");
  EXPECT_FALSE(caller->ended(stream)) << "the host has not ended its bytes";
  backend_.end_saying();
  EXPECT_EQ(received(*caller, stream), "<eof>");
  EXPECT_TRUE(ended(*caller, stream).ok());
  expect_nothing_left();
}

TEST_F(RelayTest, TheHostMayEndFirst) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  backend_.say("bye");
  backend_.end_saying();
  EXPECT_EQ(received(*caller, stream), "bye<eof>");
  EXPECT_FALSE(caller->ended(stream));
  send(*caller, stream, bytes("still here"));
  EXPECT_EQ(backend_.heard(), "still here");
  caller->close_send(stream);
  settle();
  EXPECT_EQ(backend_.heard(), "<end>");
  EXPECT_TRUE(ended(*caller, stream).ok());
  expect_nothing_left();
}

TEST_F(RelayTest, AllInOneMessage) {
  const auto caller = guest("web1");
  const auto stream = open(*caller, to("echo", "all", true));
  ASSERT_TRUE(backend_.accept());
  EXPECT_EQ(backend_.heard(), "all<end>");
  backend_.close();
  settle();
  EXPECT_TRUE(ended(*caller, stream).ok());
}

TEST_F(RelayTest, ServicesThatCloseEndTheCall) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  backend_.say("last words");
  backend_.close();
  EXPECT_EQ(received(*caller, stream), "last words<eof>");
  EXPECT_TRUE(ended(*caller, stream).ok()) << "nobody is left to send anything to";
  expect_nothing_left();
}

// As Python's servers do.
TEST_F(RelayTest, AServiceThatClosesAfterItsEndEndsTheCall) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  backend_.say("bye");
  backend_.end_saying();
  EXPECT_EQ(received(*caller, stream), "bye<eof>");
  EXPECT_FALSE(caller->ended(stream));
  backend_.close();
  settle();
  EXPECT_TRUE(ended(*caller, stream).ok());
  expect_nothing_left();
}

// Its hang-up comes alone, again and again. Without an end, settle() would not return.
TEST_F(RelayTest, AFullSocketThatHangsUpEndsTheCall) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  while (caller->send(stream, bytes(std::string(32 * kKiB, 'x')))) settle();
  ASSERT_EQ(::shutdown(backend_.fd(), SHUT_RDWR), 0);
  settle();
  expect_refused(ended(*caller, stream), Code::kUnavailable, "before it had taken all bytes");
  expect_nothing_left();
}

TEST_F(RelayTest, ConnectionsOfAnotherUserHaveARate) {
  use_with(R"("user": "alice", "start_rate": 1, "start_burst": 2, "concurrent_per_vm": 20)");
  const auto caller = guest("web1");
  for (int i = 0; i < 2; ++i) caller->cancel(open(*caller));
  expect_refused(ended(*caller, open(*caller)), Code::kResourceExhausted, "the limit start_rate (1)");
}

TEST_F(RelayTest, BytesThatTheServiceLeavesUnreadAreAnError) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  send(*caller, stream, bytes("unread"));
  backend_.close();
  settle();
  expect_refused(ended(*caller, stream), Code::kUnavailable, "the service \"echo\" broke the connection: ");
  expect_nothing_left();
}

TEST_F(RelayTest, ALargeTransferArrivesWhole) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  std::string sent, heard;
  for (int i = 0; i < 100; ++i) {
    const std::string part(40 * kKiB, static_cast<char>('a' + i % 26));
    sent += part;
    send(*caller, stream, bytes(part));
    heard += backend_.heard();
  }
  for (int i = 0; i < 100 && heard.size() < sent.size(); ++i) {
    settle();
    heard += backend_.heard();
  }
  EXPECT_TRUE(heard == sent);
  EXPECT_EQ(used("web1", Resource::kMemory), HostCall::kOwnBytes);
}

// ---------------------------------------------------------------- back-pressure

TEST_F(RelayTest, AServiceThatDoesNotReadStopsTheCaller) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  std::size_t messages = 0;
  std::string sent;
  // As long as there is credit.
  while (messages < 200) {
    const std::string part(32 * kKiB, static_cast<char>('a' + messages % 26));
    if (!caller->send(stream, bytes(part))) break;
    settle();
    sent += part;
    ++messages;
  }
  EXPECT_LT(messages, 60u) << "the window and the socket's buffer";
  EXPECT_LT(used("web1", Resource::kMemory), 512 * kKiB);
  std::string heard;
  for (int i = 0; i < 200 && heard.size() < sent.size(); ++i) {
    heard += backend_.heard();
    settle();
  }
  EXPECT_TRUE(heard == sent);
  EXPECT_EQ(used("web1", Resource::kMemory), HostCall::kOwnBytes);
}

// However many there are: they use up no credit that other calls of the connection need.
TEST_F(RelayTest, ServicesThatDoNotReadHoldUpNoOtherCall) {
  use_with(R"("concurrent_per_vm": 20)");
  const auto caller = guest("web1");
  for (int i = 0; i < 8; ++i) {
    const auto deaf = connected(*caller);
    while (caller->send(deaf, bytes(std::string(32 * kKiB, 'd')))) settle();
  }
  const auto stream = connected(*caller);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(caller->send(stream, bytes(std::string(32 * kKiB, 'x')))) << i;
    settle();
    ASSERT_EQ(backend_.heard().size(), 32 * kKiB) << i;
  }
}

TEST_F(RelayTest, ACallerThatDoesNotReadStopsTheService) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  std::string sent;
  const std::string part(16 * kKiB, 'p');
  for (int i = 0; i < 400; ++i) {
    if (::send(backend_.fd(), part.data(), part.size(), MSG_NOSIGNAL | MSG_DONTWAIT) !=
        static_cast<ssize_t>(part.size()))
      break;
    sent += part;
    settle();
  }
  EXPECT_LT(sent.size(), 300 * part.size());
  settle();  // would not return if a blocked relay had work in each turn
  EXPECT_EQ(received(*caller, stream).size(), sent.size());
}

TEST_F(RelayTest, ACallerThatReadsSlowlyStays) {
  const auto caller = rig_.peer("web1");  // without windows, so that only its socket bounds what it gets
  open(*caller);
  ASSERT_TRUE(backend_.accept());
  const std::string part(32 * kKiB, 'p');  // sent as one piece of the socket's buffer
  while (used("web1", Resource::kOutbound) < part.size()) {
    backend_.say(part);
    settle();
  }
  std::vector<char> buffer(part.size());
  for (int i = 0; i < 20; ++i) {
    advance(seconds(10));
    // What comes next fills its socket before the turn ends, and with it the flush.
    ASSERT_GT(::recv(caller->fd(), buffer.data(), buffer.size(), MSG_DONTWAIT), 0);
    backend_.say(part);
    settle();
    ASSERT_GT(used("web1", Resource::kOutbound), 0u);
  }
  EXPECT_EQ(rig_.stats.connections_open, 1u);
}

TEST_F(RelayTest, WhatIsKeptForASlowServiceIsChargedAndBounded) {
  limit("web1", [](Limits& limits) {
    limits.memory_bytes = 128 * kKiB;
    limits.message_bytes = 64 * kKiB;
  });
  const auto caller = peer("web1");  // no windows
  const auto stream = connected(*caller);
  for (int i = 0; i < 100 && !caller->ended(stream); ++i) {
    if (!caller->send(stream, bytes(std::string(32 * kKiB, 'x')))) break;
    settle();
    EXPECT_LE(used("web1", Resource::kMemory), 200 * kKiB);
  }
  expect_refused(ended(*caller, stream), Code::kResourceExhausted, "the limit memory_bytes (131072) is reached");
  expect_nothing_left();
}

// ---------------------------------------------------------------- refusals

TEST_F(RelayTest, RefusesWhatIsNoService) {
  const auto caller = guest("web1");
  expect_refused(ended(*caller, open(*caller, to("nothing"))), Code::kNotFound, "the host has no service \"nothing\"");
  expect_refused(ended(*caller, open(*caller, to("../etc"))), Code::kInvalidArgument, "is not a service's name");
  expect_refused(ended(*caller, open(*caller, bytes("x"))), Code::kInvalidArgument, "must name the service");
  use(R"({"name": "date", "run": ["/bin/date"]}, {"name": "broken", "socket": "nowhere"})");
  expect_refused(ended(*caller, open(*caller, to("date"))), Code::kNotFound, "is no socket but a program");
  expect_refused(ended(*caller, open(*caller, to("broken"))), Code::kUnavailable, "is disabled");
}

TEST_F(RelayTest, PolicyDecidesByTheService) {
  policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Relay/Open"], "resources": ["echo"], "action": "allow"},
            {"vms": ["*"], "calls": ["hostcall.v1.Session/*"], "action": "allow"})");
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  expect_refused(ended(*caller, open(*caller, to("other"))), Code::kPermissionDenied, "is denied");
  const auto late = open(*caller, {});
  send(*caller, late, to("other"));
  expect_refused(ended(*caller, late), Code::kPermissionDenied, "is denied");
  EXPECT_EQ(rig_.stats.calls_denied, 2u);
  EXPECT_FALSE(caller->ended(stream));
}

TEST_F(RelayTest, ARateIsTakenByTheFirstMessageOnly) {
  policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Relay/Open"], "action": "allow", "rate": 1, "burst": 2},
            {"vms": ["*"], "calls": ["hostcall.v1.Session/*"], "action": "allow"})");
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  for (int i = 0; i < 10; ++i) send(*caller, stream, bytes("more"));
  EXPECT_TRUE(receive<Open>(*caller, open(*caller)));
  const auto limited = sum_of(rig_.stats.limits_hit);
  expect_refused(ended(*caller, open(*caller)), Code::kResourceExhausted, "rate");
  EXPECT_EQ(sum_of(rig_.stats.limits_hit), limited + 1) << "counted once";
}

TEST_F(RelayTest, MisuseEndsTheCall) {
  const auto caller = guest("web1");
  const auto twice = connected(*caller);
  send(*caller, twice, to("echo"));
  expect_refused(ended(*caller, twice), Code::kInvalidArgument, "only the first message");
  const auto after = connected(*caller);
  send(*caller, after, bytes("x", true));
  send(*caller, after, bytes("y"));
  expect_refused(ended(*caller, after), Code::kInvalidArgument, "bytes came after eof");
  const auto nothing = open(*caller, {});
  caller->close_send(nothing);
  settle();
  expect_refused(ended(*caller, nothing), Code::kInvalidArgument, "before it named a service");
  const auto garbage = connected(*caller);
  caller->send_raw(hostcall::test::data(garbage, "\xff\xff\xff"));
  settle();
  expect_refused(ended(*caller, garbage), Code::kInvalidArgument, "hostcall.v1.Relay/Open");
  expect_nothing_left();
}

TEST_F(RelayTest, TheFirstMessageHasADeadline) {
  const auto caller = guest("web1");
  const auto stream = open(*caller, {});
  EXPECT_EQ(used("web1", Resource::kMemory), HostCall::kOwnBytes);
  advance(HostCall::kFirstMessage - kTick);
  EXPECT_FALSE(caller->ended(stream));
  advance(kTick);
  expect_refused(ended(*caller, stream), Code::kDeadlineExceeded, "which names the service, did not come");
  expect_nothing_left();
}

TEST_F(RelayTest, ARelayHasNoDeadlineUnlessTheCallerSetsOne) {
  const auto caller = guest("web1");
  const auto lasting = connected(*caller);
  const auto brief = open(*caller, to("echo"), milliseconds(1500));
  advance(milliseconds(1500));
  EXPECT_EQ(ended(*caller, brief).code, Code::kDeadlineExceeded);
  EXPECT_FALSE(caller->ended(lasting));
}

// ---------------------------------------------------------------- the service's limits

TEST_F(RelayTest, CountsConnectionsOfEachVmAndOfAll) {
  use_with(R"("concurrent": 3, "concurrent_per_vm": 2)");
  const auto caller = guest("web1"), other = guest("db1");
  const auto first = connected(*caller);
  connected(*caller);
  expect_refused(ended(*caller, open(*caller)), Code::kResourceExhausted,
                 "VM \"web1\": the limit concurrent_per_vm (2) of the service \"echo\" is reached");
  connected(*other);
  expect_refused(ended(*other, open(*other)), Code::kResourceExhausted,
                 "VM \"db1\": the limit concurrent (3) of the service \"echo\" is reached");
  caller->cancel(first);
  settle();
  connected(*other);
  EXPECT_EQ(rig_.catalog.calls_of("echo"), 3u);
}

TEST_F(RelayTest, BytesOfBothDirectionsHaveALimit) {
  use_with(R"("max_bytes": 10)");
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  send(*caller, stream, bytes("12345"));
  backend_.say("12345");
  EXPECT_EQ(received(*caller, stream), "12345");
  send(*caller, stream, bytes("6"));
  expect_refused(ended(*caller, stream), Code::kResourceExhausted, "the limit max_bytes (10) of the service \"echo\"");
}

TEST_F(RelayTest, AnIdleConnectionEnds) {
  use_with(R"("idle_timeout": "10s")");
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  advance(seconds(9));
  send(*caller, stream, bytes("x"));
  advance(seconds(9));
  EXPECT_FALSE(caller->ended(stream));
  advance(seconds(1));
  expect_refused(ended(*caller, stream), Code::kDeadlineExceeded, "idle_timeout");
}

TEST_F(RelayTest, AReloadLeavesRunningCallsAsTheyBegan) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  use(R"({"name": "other", "socket": "unix:/nowhere"})");
  send(*caller, stream, bytes("still"));
  EXPECT_EQ(backend_.heard(), "still");
  expect_refused(ended(*caller, open(*caller)), Code::kNotFound, "no service \"echo\"");
  policy(R"({"vms": ["*"], "calls": ["hostcall.v1.Session/*"], "action": "allow"})");
  EXPECT_TRUE(rig_.reload().ok());
}

TEST_F(RelayTest, ADenialByANewPolicyEndsTheRelay) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller), unnamed = open(*caller, {});
  rig_.write_policy(R"({"rules": [{"vms": ["*"], "calls": ["hostcall.v1.Session/*"], "action": "allow"}]})");
  ASSERT_TRUE(rig_.reload().ok());
  EXPECT_EQ(ended(*caller, stream).code, Code::kPermissionDenied);
  EXPECT_FALSE(caller->ended(unnamed)) << "nothing is decided yet";
  send(*caller, unnamed, to("echo"));
  EXPECT_EQ(ended(*caller, unnamed).code, Code::kPermissionDenied);
}

TEST_F(RelayTest, AStoppingDaemonEndsRelays) {
  const auto caller = guest("web1");
  const auto stream = connected(*caller);
  rig_.server.shut_down();
  settle();
  expect_refused(ended(*caller, stream), Code::kUnavailable, "hostcalld is stopping");
}

// ---------------------------------------------------------------- connecting

TEST_F(RelayTest, SaysWhyASocketCantBeConnectedTo) {
  backend_.close_listener();
  const auto caller = guest("web1");
  expect_refused(ended(*caller, open(*caller)), Code::kUnavailable, "Connection refused");
  ::unlink(path().c_str());
  expect_refused(ended(*caller, open(*caller)), Code::kUnavailable, "No such file or directory");
  expect_nothing_left();
}

// As long as the caller wants, because without a deadline it would last for ever.
TEST_F(RelayTest, NoDeadlineIsTooLong) {
  rig_.config.timeouts.call_max = milliseconds(100);
  const auto caller = guest("web1");
  const auto stream = open(*caller, to("echo"), seconds(2));
  EXPECT_TRUE(backend_.accept());
  expect_greeting(*caller, stream);
  rig_.advance(seconds(1), kTick * 100);
  EXPECT_FALSE(caller->ended(stream));
  rig_.advance(seconds(2), kTick * 100);
  expect_refused(caller->finish(stream).status, Code::kDeadlineExceeded, "did not finish before the deadline");
}

TEST_F(RelayTest, WaitsForAFullBacklog) {
  backend_.close_listener();
  ::unlink(path().c_str());
  const auto listener = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  const auto caller = guest("web1");
  const auto first = open(*caller), second = open(*caller);
  expect_greeting(*caller, first);
  EXPECT_TRUE(is_quiet(*caller));
  const auto accepted = UniqueFd::adopt(::accept(listener.get(), nullptr, nullptr));
  advance(milliseconds(50));
  expect_greeting(*caller, second);
  const auto third = open(*caller);
  advance(HostConnector::kLimit + milliseconds(50));
  expect_refused(ended(*caller, third), Code::kUnavailable, "the backlog of its socket is full");
}

// Which would give a VM another identity.
TEST_F(OwnSocketTest, DoesNotConnectToHostcalldItself) {
  rig_.use_services(R"({"name": "echo", "socket": "unix:)" + rig_.path_of("admin") + "\"}");
  const auto caller = guest("web1");
  expect_refused(caller->finish(start<Open>(*caller, to("echo"))).status, Code::kUnavailable,
                 "its socket belongs to hostcalld itself");
}

TEST_F(RelayTest, OtherSocketsAreTheRunners) {
  use(R"({"name": "echo", "socket": "tcp:127.0.0.1:5000"})");
  const auto caller = guest("web1");
  const auto failing = open(*caller);
  EXPECT_EQ(runner_.log.back(), "connect echo for web1 ");
  runner_.connecting->on_connect_failed({Code::kUnavailable, "no route"});
  settle();
  expect_refused(ended(*caller, failing), Code::kUnavailable, "no route");
  const auto stream = open(*caller, to("echo", "early"));
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
  const auto peer = UniqueFd::adopt(pair[1]);
  runner_.connecting->on_connected(UniqueFd::adopt(pair[0]));
  settle();
  char text[8] = {};
  EXPECT_EQ(::read(peer.get(), text, sizeof text), 5);
  EXPECT_STREQ(text, "early");
  expect_greeting(*caller, stream);
  const auto cancelled = open(*caller);
  EXPECT_NE(runner_.connecting, nullptr);
  caller->cancel(cancelled);
  settle();
  EXPECT_EQ(runner_.connecting, nullptr);
}

// ---------------------------------------------------------------- prefaces

TEST_F(RelayTest, ThePrefaceComesBeforeTheFirstByte) {
  use_with(R"("preface": "qrexec")");
  const auto caller = guest("web1");
  open(*caller, to("echo", "bytes"));
  ASSERT_TRUE(backend_.accept());
  EXPECT_EQ(backend_.heard(), std::string("echo web1\0bytes", 15));
}

TEST_F(RelayTest, TheProxyProtocolNamesTheVm) {
  use_with(R"("preface": "proxy-v2")");
  const auto caller = guest("web1");
  open(*caller, to("echo", "bytes"));
  ASSERT_TRUE(backend_.accept());
  EXPECT_EQ(backend_.heard(), std::string("\r\n\r\n\0\r\nQUIT\n\x21\0\0\x07\xE0\0\x04web1bytes", 28));
}

TEST_F(RelayTest, TenThousandOpenedAndCancelledLeaveNothing) {
  const auto caller = guest("web1");
  for (int i = 0; i < 10'000; ++i) {
    const auto stream = caller->start(Open::kFullName, to("echo").SerializeAsString(), Shape::kBidiStream);
    caller->cancel(stream);
    if (i % 50 == 0) settle();
    if (i % 50 == 0)
      while (backend_.accept()) backend_.close();
  }
  settle();
  expect_nothing_left();
  EXPECT_TRUE(connected(*caller) != 0);
}

}  // namespace
}  // namespace hostcall::daemon
