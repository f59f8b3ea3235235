// A restart that hands all connections over, with a real hostcalld and a stand-in for systemd: whoever is connected
// goes on as if nothing had happened.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdio>
#include <memory>

#include "hostcall/v1/diagnostics.hostcall.h"
#include "hostcall/v1/relay.hostcall.h"
#include "hostcall/v1/run.hostcall.h"
#include "hostcall/v1/store.hostcall.h"
#include "tests/support/frames.h"
#include "tests/support/sanitized.h"
#include "tests/support/systemd_stand_in.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

using ::testing::HasSubstr;
using wire::Code;
using wire::Shape;
namespace D = v1::Diagnostics;

constexpr int kRestarts = 5;

DaemonOptions files() {
  DaemonOptions options;
  options.services_json = R"({"services": [
    {"name": "cat", @USER@"run": ["/bin/cat"]},
    {"name": "echo", "socket": "unix:@DIR@/echo.service"}]})";
  return options;
}

// A server of the host, which the test plays itself.
class Server {
 public:
  explicit Server(const std::string& path)
      : listening_(UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(listening_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listening_.get(), 10), 0);
  }
  void accept() {
    fd_ = UniqueFd::adopt(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const timeval patience{.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(kPatience).count(), .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  // So many bytes, or what came before the end.
  std::string hear(std::size_t bytes) const {
    std::string all(bytes, '\0');
    std::size_t have = 0;
    for (ssize_t got = 0; have < bytes && (got = ::recv(fd_.get(), all.data() + have, bytes - have, 0)) > 0;)
      have += static_cast<std::size_t>(got);
    all.resize(have);
    return all;
  }
  void say(const std::string& text) const {
    EXPECT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }

 private:
  UniqueFd listening_;
  UniqueFd fd_;
};

v1::EchoRequest echo(const std::string& payload, std::uint32_t delay_ms = 0) {
  v1::EchoRequest request;
  request.set_payload(payload);
  request.set_delay_ms(delay_ms);
  return request;
}

std::string payload_of(const Answer& answer) {
  v1::EchoResponse response;
  return answer.arrived && answer.status.ok() && response.ParseFromString(answer.payload) ? response.payload()
                                                                                          : "no echo";
}

template <class Message>
Message parsed(const std::optional<std::string>& bytes) {
  Message message;
  EXPECT_TRUE(bytes && message.ParseFromString(*bytes));
  return message;
}

class Restart : public testing::Test {
 protected:
  explicit Restart(const StandInOptions& options = {}) : systemd_(files(), options) {}

  std::unique_ptr<WireClient> client(const std::string& vm = "web1") {
    auto made = std::make_unique<WireClient>(systemd_.files().vm_address(vm));
    sessions_[made.get()] = made->hello().session_id();
    return made;
  }
  static std::int64_t put(WireClient& client, const std::string& key, const std::string& value,
                          v1::Lifetime lifetime = v1::LIFETIME_PERSISTENT) {
    v1::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    request.set_lifetime(lifetime);
    const auto answer = client.call(v1::Store::Put::kFullName, request);
    EXPECT_TRUE(answer.status.ok()) << answer.status.message;
    return parsed<v1::PutResponse>(answer.payload).revision();
  }
  static std::uint32_t watch(WireClient& client, const std::string& prefix) {
    v1::WatchRequest request;
    request.set_prefix(prefix);
    const auto stream = client.start(v1::Store::Watch::kFullName, request.SerializeAsString(), Shape::kServerStream);
    EXPECT_TRUE(client.receive(stream)) << "the greeting";
    return stream;
  }
  static std::uint32_t relay(WireClient& client, Server& server) {
    const auto stream = client.start(v1::Relay::Open::kFullName, {}, Shape::kBidiStream);
    v1::OpenRequest request;
    request.set_service("echo");
    EXPECT_TRUE(client.send(stream, request));
    EXPECT_TRUE(client.receive(stream)) << "the greeting";
    server.accept();
    return stream;
  }
  static std::uint32_t run_cat(WireClient& client) {
    const auto stream = client.start(v1::Run::Start::kFullName, {}, Shape::kBidiStream);
    v1::StartRequest request;
    request.set_service("cat");
    EXPECT_TRUE(client.send(stream, request));
    EXPECT_TRUE(client.receive(stream)) << "the greeting";
    return stream;
  }
  SystemdStandIn systemd_;
  std::map<const WireClient*, std::uint64_t> sessions_;
};

TEST_F(Restart, CallsGoOnOnTheirConnections) {
  std::vector<std::unique_ptr<WireClient>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(client(i % 2 == 0 ? "web1" : "db1"));
  for (int round = 0; round < kRestarts; ++round) {
    std::vector<std::uint32_t> calls;
    const auto text = "round " + std::to_string(round);
    for (const auto& one : clients)
      calls.push_back(one->start(D::Echo::kFullName, echo(text, round % 2 == 0 ? 0 : 100).SerializeAsString()));
    systemd_.restart();
    for (std::size_t i = 0; i < clients.size(); ++i) {
      EXPECT_EQ(payload_of(clients[i]->finish(calls[i])), text) << "asked before";
      EXPECT_EQ(payload_of(clients[i]->call(D::Echo::kFullName, echo("after"))), "after");
    }
  }
  EXPECT_EQ(systemd_.starts(), 1 + kRestarts);
}

TEST_F(Restart, AWatchSeesEachChangeOnce) {
  const auto writer = client(), reader = client();
  const auto stream = watch(*reader, "/self/");
  for (int round = 0; round < kRestarts; ++round) {
    const auto before = put(*writer, "/self/a", std::to_string(round));
    systemd_.restart();
    const auto after = put(*writer, "/self/b", std::to_string(round));
    for (const auto revision : {before, after}) {
      const auto message = parsed<v1::WatchResponse>(reader->receive(stream));
      EXPECT_EQ(message.revision(), revision);
      EXPECT_EQ(message.events_size(), 1);
    }
  }
  EXPECT_EQ(reader->unread_bytes(stream), 0u);
}

TEST_F(Restart, ARelayLosesNoByteInEitherDirection) {
  Server server(systemd_.files().directory() / "echo.service");
  const auto guest = client();
  const auto stream = relay(*guest, server);
  const std::string much(300'000, 'm');
  std::string heard, expected;
  for (int round = 0; round < kRestarts; ++round) {
    v1::OpenRequest request;
    request.set_data("to " + std::to_string(round));
    EXPECT_TRUE(guest->send(stream, request));
    server.say(much + std::to_string(round));  // more than the guest has a window for
    expected += much + std::to_string(round);
    systemd_.restart();
    EXPECT_EQ(server.hear(4), "to " + std::to_string(round));
    while (heard.size() < expected.size()) {
      const auto message = guest->receive(stream);
      ASSERT_TRUE(message);
      heard += parsed<v1::OpenResponse>(message).data();
    }
    EXPECT_TRUE(heard == expected);
  }
  v1::OpenRequest end;
  end.set_eof(true);
  EXPECT_TRUE(guest->send(stream, end));
  EXPECT_EQ(server.hear(1), "") << "the end of bytes arrives";
  server.say("still here");
  EXPECT_EQ(parsed<v1::OpenResponse>(guest->receive(stream)).data(), "still here");
}

// A pipe takes 64 KiB, so the last bytes wait in the daemon.
TEST_F(Restart, AServerThatDoesNotReadGetsAllInTheEnd) {
  Server server(systemd_.files().directory() / "echo.service");
  const auto guest = client();
  const auto stream = relay(*guest, server);
  std::string sent;
  for (int i = 0;; ++i) {
    v1::OpenRequest request;
    request.set_data(std::string(20'000, static_cast<char>('a' + i % 26)));
    if (!guest->try_send(stream, request.SerializeAsString())) break;
    sent += request.data();
    guest->pump(std::chrono::milliseconds(5));
  }
  systemd_.restart();
  EXPECT_TRUE(server.hear(sent.size()) == sent);
}

TEST_F(Restart, AProgramRunsOn) {
  const auto guest = client();
  const auto stream = run_cat(*guest);
  for (int round = 0; round < kRestarts; ++round) {
    v1::StartRequest request;
    request.set_stdin_data("line " + std::to_string(round));
    EXPECT_TRUE(guest->send(stream, request));
    systemd_.restart();
    EXPECT_EQ(parsed<v1::StartResponse>(guest->receive(stream)).stdout_data(), "line " + std::to_string(round));
  }
  v1::StartRequest end;
  end.set_stdin_eof(true);
  EXPECT_TRUE(guest->send(stream, end));
  const auto last = parsed<v1::StartResponse>(guest->receive(stream));
  EXPECT_TRUE(last.has_ended());
  EXPECT_EQ(last.ended().exit_code(), 0u);
  EXPECT_TRUE(guest->finish(stream).status.ok());
}

// A signal goes to the program that the daemon before has started.
TEST_F(Restart, AProgramCanStillBeKilled) {
  const auto guest = client();
  const auto stream = run_cat(*guest);
  systemd_.restart();
  v1::StartRequest request;
  request.set_signal(SIGTERM);
  EXPECT_TRUE(guest->send(stream, request));
  EXPECT_EQ(parsed<v1::StartResponse>(guest->receive(stream)).ended().signal(), static_cast<unsigned>(SIGTERM));
}

// ---------------------------------------------------------------- between any two bytes

TEST_F(Restart, HalfAFrameIsCompletedLater) {
  const auto frame = request_frame(1, {.service = D::Echo::kService, .method = D::Echo::kMethod},
                                   echo(std::string(5'000, 'x')).SerializeAsString());
  for (const std::size_t cut : {1u, 9u, 10u, 4'000u}) {
    auto one = std::make_unique<WireClient>(systemd_.files().vm_address("web1"));
    one->send_raw(frame.substr(0, cut));
    systemd_.restart();
    one->send_raw(frame.substr(cut));
    std::array<char, 8'000> buffer{};
    const timeval patience{.tv_sec = 60, .tv_usec = 0};
    ::setsockopt(one->fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::fcntl(one->fd(), F_SETFL, 0);
    const auto got = ::recv(one->fd(), buffer.data(), 5'010, MSG_WAITALL);
    EXPECT_EQ(got, 5'010) << cut;
    EXPECT_EQ(buffer[9], 0);
    EXPECT_EQ(buffer[8], 2) << "a response";
  }
}

TEST_F(Restart, AGuestThatDoesNotReadGetsAllInTheEnd) {
  const auto guest = client();
  std::vector<std::uint32_t> calls;
  for (int i = 0; i < 40; ++i)
    calls.push_back(guest->start(D::Echo::kFullName,
                                 echo(std::string(50'000, static_cast<char>('a' + i % 26))).SerializeAsString()));
  for (int i = 0; i < 3; ++i) systemd_.restart();
  for (std::size_t i = 0; i < calls.size(); ++i)
    EXPECT_TRUE(payload_of(guest->finish(calls[i])) == std::string(50'000, static_cast<char>('a' + i % 26))) << i;
}

// ---------------------------------------------------------------- what stays, and what ends

TEST_F(Restart, WhatLivesAsLongAsASessionStaysWithIt) {
  const auto other = client();
  auto holder = client();
  put(*holder, "/self/lease", "x", v1::LIFETIME_SESSION);
  systemd_.restart();
  v1::GetRequest get;
  get.set_key("/self/lease");
  const auto is_there = [&] {
    return parsed<v1::GetResponse>(other->call(v1::Store::Get::kFullName, get).payload).has_item();
  };
  EXPECT_TRUE(is_there());
  holder.reset();
  const auto end = Clock::now() + kPatience;
  while (is_there() && Clock::now() < end) continue;
  EXPECT_FALSE(is_there());
}

TEST_F(Restart, ACallThatLastsTooLongEndsAloneAndSaysWhy) {
  const auto guest = client();
  const auto slow = guest->start(D::Echo::kFullName, echo("slow", 60'000).SerializeAsString());
  const auto stream = watch(*guest, "/self/");
  systemd_.restart();
  const auto answer = guest->finish(slow);
  ASSERT_TRUE(answer.arrived);
  EXPECT_EQ(answer.status.code, Code::kUnavailable);
  EXPECT_THAT(answer.status.message, HasSubstr("does not outlast it"));
  put(*guest, "/self/x", "1");
  EXPECT_TRUE(guest->receive(stream)) << "the other call of the connection goes on";
}

TEST_F(Restart, AVmThatIsGoneIsToldSo) {
  const auto stays = client("web1"), leaves = client("db1");
  systemd_.files().directory().write(
      "vms.d/50-test.json", R"({"vms": [{"name": "web1", "unix_path": ")" + systemd_.files().vm_path("web1") + "\"}]}");
  systemd_.restart();
  EXPECT_TRUE(leaves->wait_for_goaway());
  EXPECT_EQ(leaves->goaway_reason(), wire::GoawayReason::kRemoved);
  EXPECT_THAT(leaves->goaway_text().value_or(""), HasSubstr("restarted"));
  EXPECT_EQ(payload_of(stays->call(D::Echo::kFullName, echo("x"))), "x");
}

TEST_F(Restart, PolicyIsDecidedAgain) {
  const auto guest = client();
  const auto stream = watch(*guest, "/self/");
  systemd_.files().directory().write("policy.d/50-test.json", R"({"rules": [
      {"vms": ["*"], "calls": ["hostcall.v1.Store/Watch"], "action": "deny"},
      {"vms": ["*"], "calls": ["*"], "action": "allow"}]})");
  systemd_.restart();
  const auto answer = guest->finish(stream);
  EXPECT_EQ(answer.status.code, Code::kPermissionDenied) << answer.status.message;
  EXPECT_EQ(payload_of(guest->call(D::Echo::kFullName, echo("x"))), "x");
}

TEST_F(Restart, AStopSaysGoaway) {
  const auto guest = client();
  EXPECT_EQ(systemd_.stop(), 0);
  EXPECT_TRUE(guest->wait_for_goaway());
  EXPECT_EQ(guest->goaway_reason(), wire::GoawayReason::kShutdown);
}

TEST_F(Restart, ANewBuildThatFailsAtFirstLosesNothing) {
  const auto guest = client();
  systemd_.fail_next_starts(3);
  systemd_.restart();
  EXPECT_EQ(payload_of(guest->call(D::Echo::kFullName, echo("x"))), "x");
}

TEST_F(Restart, AKilledDaemonStartsWithNobody) {
  const auto guest = client();
  systemd_.kill_9();
  EXPECT_TRUE(guest->wait_for_close());
  EXPECT_EQ(payload_of(client()->call(D::Echo::kFullName, echo("x"))), "x");
}

TEST_F(Restart, AStateThatCantBeReadIsDroppedWithARecord) {
  auto file = UniqueFd::adopt(::memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::write(file.get(), "HCST nonsense", 13), 13);
  systemd_.manager().store("hostcall-state", std::move(file));
  systemd_.kill_9();
  EXPECT_TRUE(systemd_.process().wait_for_error_text("the connections of the hostcalld before are lost"))
      << systemd_.process().errors();
  EXPECT_TRUE(systemd_.manager().stored_names().empty());
  const auto guest = client();
  systemd_.restart();
  EXPECT_EQ(payload_of(guest->call(D::Echo::kFullName, echo("x"))), "x");
}

// All at once, and nobody is told. Prints for how long nobody was served.
TEST(RestartOfMany, TenThousandConnectionsGoOn) {
  if (!kShipped) GTEST_SKIP() << "ten thousand clients of a sanitizer take too long";
  constexpr std::size_t kVms = 250, kEach = 40;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < kVms * kEach + 1000) GTEST_SKIP() << "RLIMIT_NOFILE is " << limit.rlim_max;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  DaemonOptions options{.vms = {},
                        .config_json = R"("limits": {"connections": 64, "connect_rate": 1000, "connect_burst": 1000})"};
  for (std::size_t i = 0; i < kVms; ++i) options.vms.push_back("vm" + std::to_string(i));
  SystemdStandIn systemd(options);
  std::vector<std::unique_ptr<WireClient>> clients;
  for (std::size_t i = 0; i < kVms * kEach; ++i) {
    clients.push_back(std::make_unique<WireClient>(systemd.files().vm_address(options.vms[i % kVms])));
    clients.back()->hello();
  }
  systemd.restart();
  EXPECT_TRUE(systemd.process().wait_for_error_text("ms of silence"));
  const auto& log = systemd.process().errors();
  const auto at = log.find("goes on with");
  ASSERT_NE(at, std::string::npos) << log;
  std::printf("%s\n", log.substr(at, log.find('\n', at) - at).c_str());
  for (const auto& one : clients) ASSERT_EQ(payload_of(one->call(D::Echo::kFullName, echo("x"))), "x");
}

class RestartWithoutStore : public Restart {
 protected:
  RestartWithoutStore() : Restart({.manager = {.fd_store_max = 0}, .vms_of_socket_units = {}}) {}
};

TEST_F(RestartWithoutStore, DrainsAsAStopDoes) {
  const auto guest = client();
  systemd_.restart();
  EXPECT_TRUE(guest->wait_for_goaway());
  EXPECT_EQ(guest->goaway_reason(), wire::GoawayReason::kShutdown);
  EXPECT_EQ(payload_of(client()->call(D::Echo::kFullName, echo("x"))), "x");
}

}  // namespace
}  // namespace hostcall::test
