// hostcall forward: many connections over one, and what one of them can do to the others.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <memory>

#include "proto/base/unique_fd.h"
#include "tests/support/sanitized.h"
#include "tests/unit/client/hostcall/verb_fixture.h"

namespace hostcall::test {
namespace {

// A program of this machine that uses the forwarded socket.
class LocalClient {
 public:
  explicit LocalClient(const std::string& path)
      : fd_(UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0))) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    connect(reinterpret_cast<const sockaddr&>(name), sizeof name);
  }
  explicit LocalClient(std::uint16_t port) : fd_(UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port = htons(port);
    connect(reinterpret_cast<const sockaddr&>(name), sizeof name);
  }

  void say(const std::string& text) {
    EXPECT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  void end() { ::shutdown(fd_.get(), SHUT_WR); }
  // So many bytes, or less at the end.
  std::string hear(std::size_t bytes) {
    std::string all;
    std::array<char, 4096> buffer;
    while (all.size() < bytes) {
      const auto got = ::recv(fd_.get(), buffer.data(), std::min(buffer.size(), bytes - all.size()), 0);
      if (got < 0) return all + "ERROR " + std::to_string(errno);
      if (got == 0) return all + "END";
      all.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return all;
  }
  std::string converse(const std::string& text) {
    say(text);
    return hear(text.size());
  }
  bool has_heard(std::chrono::milliseconds time) {
    pollfd event{fd_.get(), POLLIN, 0};
    return ::poll(&event, 1, static_cast<int>(time.count())) > 0;
  }
  // As much as the socket takes.
  void flood() {
    const std::string piece(64 * 1024, 'f');
    for (int idle = 0; idle < 5;) {
      const auto sent = ::send(fd_.get(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      idle = sent > 0 ? 0 : idle + 1;
      if (sent <= 0) ::poll(nullptr, 0, 20);
    }
  }

 private:
  void connect(const sockaddr& name, socklen_t size) {
    const timeval patience{.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(kPatience).count(), .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(fd_.get(), &name, size), 0);
  }
  UniqueFd fd_;
};

class Forward : public VerbFixture {
 protected:
  Forward() : VerbFixture("forward") {}

  std::string path() const { return directory_ / "s.sock"; }
  // Runs it and waits until it listens.
  std::unique_ptr<Process> start(const std::string& service, const Words& more = {}) {
    Words all{"unix:" + path(), service};
    all.insert(all.end(), more.begin(), more.end());
    auto process = std::make_unique<Process>(words(all));
    EXPECT_TRUE(process->wait_until([&] { return process->output().ends_with("\n"); })) << process->errors();
    return process;
  }
};

TEST_F(Forward, SaysWhereItListens) {
  EXPECT_EQ(start("echo")->output(), "listening on unix:" + path() + " for echo\n");
  EXPECT_EQ(start("echo", {"--json"})->output(), R"({"listen":"unix:)" + path() + "\",\"service\":\"echo\"}\n");
}

TEST_F(Forward, CarriesManyConnectionsAndTheirEnds) {
  const auto forward = start("echo");
  std::vector<std::unique_ptr<LocalClient>> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(std::make_unique<LocalClient>(path()));
  for (int i = 0; i < 40; ++i) clients[static_cast<std::size_t>(i)]->say("number " + std::to_string(i));
  for (int i = 39; i >= 0; --i) {
    auto& client = *clients[static_cast<std::size_t>(i)];
    client.end();
    EXPECT_EQ(client.hear(100), "number " + std::to_string(i) + "END");
  }
  EXPECT_EQ(forward->errors(), "");
}

TEST_F(Forward, TheServicesEndIsPassedOnAndTheClientGoesOn) {
  const auto forward = start("farewell");
  LocalClient client(path());
  EXPECT_EQ(client.hear(100), "byeEND");
  client.say("still here");
  client.end();
  LocalClient next(path());
  EXPECT_EQ(next.hear(3), "bye");
}

TEST_F(Forward, CarriesLargeAmountsBothWays) {
  const auto forward = start("echo");
  LocalClient client(path());
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes += static_cast<char>(i * 7 % 256);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(client.converse(bytes), bytes);
}

TEST_F(Forward, ARefusalEndsItsConnectionWithALineAndTheForwarderGoesOn) {
  const auto forward = start("7");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(LocalClient(path()).hear(1), "END");
  ASSERT_TRUE(forward->wait_until([&] { return std::ranges::count(forward->errors(), '\n') == 2; }));
  EXPECT_TRUE(forward->errors().starts_with("hostcall: a connection to 7: PERMISSION_DENIED: as asked\n"))
      << forward->errors();
}

// Here the client can tell an end from a failure.
TEST_F(Forward, ATcpConnectionThatFailsIsReset) {
  Process forward(words({"tcp:127.0.0.1:0", "7"}));
  ASSERT_TRUE(forward.wait_until([&] { return forward.output().ends_with("\n"); })) << forward.errors();
  const auto place = forward.output().find("127.0.0.1:") + 10;
  LocalClient client(static_cast<std::uint16_t>(std::stoul(forward.output().substr(place))));
  EXPECT_EQ(client.hear(1), "ERROR " + std::to_string(ECONNRESET));
}

// More of them than the connection's first window has room for, in each direction.
TEST_F(Forward, ClientsThatDoNotReadHoldUpNoOther) {
  const auto endless = start("endless");
  std::vector<std::unique_ptr<LocalClient>> slow;
  for (int i = 0; i < 20; ++i) slow.push_back(std::make_unique<LocalClient>(path()));
  for (const auto& client : slow) EXPECT_TRUE(client->has_heard(kPatience));
  LocalClient quick(path());
  EXPECT_EQ(quick.hear(5'000'000), std::string(5'000'000, 'e'));
  EXPECT_LT(endless->peak_rss_kib(), 64U * 1024);
}

TEST_F(Forward, ItsMemoryIsBoundedHoweverMuchComes) {
  const auto forward = start("count");
  LocalClient client(path());
  const std::string piece(1 << 20, 'x');
  for (int i = 0; i < 200; ++i) client.say(piece);
  client.end();
  EXPECT_EQ(client.hear(100), std::to_string(200 << 20) + "END");
  if (!kSanitized) {
    EXPECT_LT(forward->peak_rss_kib(), 32U * 1024);
  }
}

TEST_F(Forward, MoreConnectionsThanAllowedWaitForOthersToEnd) {
  const auto forward = start("echo", {"-c", "2"});
  auto first = std::make_unique<LocalClient>(path());
  LocalClient second(path());
  EXPECT_EQ(first->converse("1"), "1");
  EXPECT_EQ(second.converse("2"), "2");
  LocalClient third(path());
  third.say("3");
  EXPECT_FALSE(third.has_heard(std::chrono::milliseconds(300)));
  first.reset();
  EXPECT_EQ(third.hear(1), "3");
  EXPECT_TRUE(forward->wait_for_error_text("(--connections)"));
}

// Those that were open end, and the next one connects again.
TEST_F(Forward, ALostHostEndsOpenConnectionsOnly) {
  const auto forward = start("break");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(LocalClient(path()).hear(1), "END");
    EXPECT_TRUE(forward->wait_until([&] { return std::ranges::count(forward->errors(), '\n') == i + 1; }));
  }
  EXPECT_NE(forward->errors().find("UNAVAILABLE"), std::string::npos) << forward->errors();
}

TEST_F(Forward, AClientThatGoesEndsItsCall) {
  const auto forward = start("endless");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(LocalClient(path()).hear(1), "e");
  EXPECT_EQ(forward->errors(), "");
}

TEST_F(Forward, SignalsEndItCleanly) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    const auto forward = start("echo");
    LocalClient client(path());
    EXPECT_EQ(client.converse("x"), "x");
    forward->signal(number);
    EXPECT_EQ(forward->wait(), 128 + number);
    EXPECT_EQ(forward->errors(), "");
    EXPECT_FALSE(std::filesystem::exists(path()));
  }
}

TEST_F(Forward, ATimeoutThatIsGivenEndsIt) {
  const auto forward = start("echo", {"--timeout", "300ms"});
  EXPECT_EQ(forward->wait(), 124);
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(Forward, WrongUsageIs2AndAnAddressInUse125) {
  EXPECT_EQ(run({"tcp:0.0.0.0:80", "echo"}).code, 2);
  EXPECT_EQ(run({"unix:" + path()}).code, 2);
  EXPECT_EQ(run({"unix:" + path(), "echo", "-c", "0"}).code, 2);
  EXPECT_EQ(run({"unix:" + path(), "Echo"}).code, 2);
  const auto forward = start("echo");
  const auto second = run({"unix:" + path(), "echo"});
  EXPECT_EQ(second.code, 125);
  EXPECT_NE(second.errors.find("another process listens there"), std::string::npos) << second.errors;
}

TEST_F(Forward, TheLossOfItsReaderDoesNotEndIt) {
  const auto run = shell(
      "mkfifo $DIR/out; $VERB unix:$DIR/s.sock 7 > $DIR/out 2>&1 & read line < $DIR/out; "
      "for i in 1 2 3; do python3 -c 'import socket, sys\n"
      "client = socket.socket(socket.AF_UNIX)\n"
      "client.connect(sys.argv[1])\n"
      "client.recv(1)' $DIR/s.sock; done; kill $!; wait $!; echo $?");
  EXPECT_EQ(run.output, "143\n") << run.errors;
}

}  // namespace
}  // namespace hostcall::test
