// hostcall connect and forward against a real daemon and real servers.
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>

#include "proto/base/unique_fd.h"
#include "tests/integration/services_cli.h"

namespace hostcall::test {
namespace {

class RelayCli : public ServicesCli {
 protected:
  RelayCli() {
    EXPECT_TRUE(server_.wait_until([&] { return contains(server_.output(), "ready"); })) << server_.errors();
  }

  // Ends of the server's connections of that name.
  bool ends(const std::string& name, std::ptrdiff_t times) {
    return server_.wait_until([&] { return std::ranges::count(lines_of(server_.output()), name + " ended") == times; });
  }
  std::string path(const std::string& name) const { return daemon_.directory() / (name + ".sock"); }
  std::unique_ptr<Process> forward(const std::string& name) const {
    auto process = std::make_unique<Process>(guest_words({"forward", "unix:" + path("f-" + name), name}));
    EXPECT_TRUE(process->wait_until([&] { return process->output().ends_with("\n"); })) << process->errors();
    return process;
  }
  UniqueFd connect(const std::string& name) const {
    auto fd = UniqueFd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path("f-" + name).copy(address.sun_path, sizeof address.sun_path - 1);
    const timeval patience{.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(kPatience).count(), .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static void say(const UniqueFd& fd, const std::string& text) {
    EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // So many bytes, or what came before the end.
  static std::string hear(const UniqueFd& fd, std::size_t bytes) {
    std::string all(bytes, '\0');
    std::size_t have = 0;
    for (ssize_t got = 0; have < bytes && (got = ::recv(fd.get(), all.data() + have, bytes - have, 0)) > 0;)
      have += static_cast<std::size_t>(got);
    all.resize(have);
    return all;
  }
  static std::string converse(const UniqueFd& fd, const std::string& text) {
    say(fd, text);
    return hear(fd, text.size());
  }
  static void flood(const UniqueFd& fd) {
    const std::string piece(64 * 1024, 'f');
    for (int idle = 0; idle < 10;) {
      const auto sent = ::send(fd.get(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      idle = sent > 0 ? 0 : idle + 1;
      if (sent <= 0) ::usleep(10'000);
    }
  }

  Process server_{{"python3", "-c", kServer, daemon_.directory().path()}};
};

TEST_F(RelayCli, ConnectCarriesBytesAndHalfCloses) {
  const auto count = guest({"connect", "count"}, std::string(3'000'000, 'x'));
  EXPECT_EQ(count.code, 0) << count.errors;
  EXPECT_EQ(count.output, "3000000") << "the server answers after the client's end";
  EXPECT_EQ(guest({"connect", "echo"}, "hello").output, "hello");
  EXPECT_TRUE(ends("count", 1));
}

TEST_F(RelayCli, FailuresHaveTheirExitCodes) {
  expect_code(guest({"connect", "nothing"}), 127, "no service \"nothing\"");
  expect_code(guest({"connect", "shell"}), 127, "shell");
  expect_code(guest({"connect", "gone"}), 125, "No such file");
  expect_code(guest({"connect", "echo"}, {}, "db1"), 126, "policy");
}

TEST_F(RelayCli, CtrlCEndsTheServersConnection) {
  Process connect(guest_words({"connect", "flood"}));
  ASSERT_TRUE(connect.wait_until([&] { return connect.output().size() > 1'000'000; })) << connect.errors();
  connect.signal(SIGINT);
  EXPECT_EQ(connect.wait(), 130);
  EXPECT_TRUE(ends("flood", 1));
}

TEST_F(RelayCli, AReaderThatGoesEndsTheServersConnection) {
  EXPECT_EQ(shell("$HOSTCALL connect flood < /dev/zero | head -c 3").output, "fff");
  EXPECT_TRUE(ends("flood", 1));
}

TEST_F(RelayCli, MemoryIsBoundedHoweverMuchIsConnected) {
  Process connect(shell_words("head -c " + std::to_string(kMuch) +
                              " /dev/zero | { exec $HOSTCALL connect echo; } | { sleep 1; wc -c; }"),
                  shell_options());
  EXPECT_EQ(connect.wait(), 0) << connect.errors();
  EXPECT_EQ(connect.output(), std::to_string(kMuch) + "\n");
  EXPECT_LT(daemon_.process().peak_rss_kib(), (kSanitized ? 256U : 48U) * 1024);
}

TEST_F(RelayCli, MemoryIsBoundedHoweverMuchIsForwarded) {
  const auto forwarder = forward("count");
  const auto client = connect("count");
  const std::string piece(1 << 20, 'x');
  for (std::size_t sent = 0; sent < kMuch; sent += piece.size()) say(client, piece);
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(hear(client, 100), std::to_string(kMuch));
  EXPECT_LT(daemon_.process().peak_rss_kib(), (kSanitized ? 256U : 48U) * 1024);
  EXPECT_LT(forwarder->peak_rss_kib(), (kSanitized ? 256U : 32U) * 1024);
}

TEST_F(RelayCli, ForwardsManyConnectionsOverOne) {
  const auto forwarder = forward("echo");
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(connect("echo"));
  for (int round = 0; round < 3; ++round)
    for (const auto& client : clients) EXPECT_EQ(converse(client, "ping"), "ping");
  const auto shown =
      test::run({program("hostcallctl"), "--socket", daemon_.admin_path(), "vm", "show", "web1", "--json"});
  EXPECT_EQ(json::parse(shown.output)["vm"]["connections"], 1) << shown.output;
  EXPECT_EQ(json::parse(shown.output)["vm"]["streams"], 40) << shown.output;
  clients.clear();
  EXPECT_TRUE(ends("echo", 40));
}

TEST_F(RelayCli, ClientsThatDoNotReadHoldUpNoOther) {
  const auto forwarder = forward("flood");
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 10; ++i) slow.push_back(connect("flood"));
  for (const auto& client : slow) EXPECT_EQ(hear(client, 1), "f");
  EXPECT_EQ(hear(connect("flood"), 5'000'000).size(), 5'000'000U);
}

// Three of them would use up the 1 MiB of credit that all calls of the connection share.
TEST_F(RelayCli, ServersThatDoNotReadHoldUpNoOther) {
  const auto forwarder = forward("moody");
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 8; ++i) {
    slow.push_back(connect("moody"));
    say(slow.back(), "d");
    flood(slow.back());
  }
  const auto client = connect("moody");
  say(client, "e");
  EXPECT_EQ(converse(client, "not held up"), "not held up");
}

TEST_F(RelayCli, AHostThatRestartsEndsOpenConnectionsAndTheNextOneConnectsAgain) {
  const auto forwarder = forward("echo");
  const auto client = connect("echo");
  EXPECT_EQ(converse(client, "before"), "before");
  EXPECT_EQ(daemon_.stop(), 0);
  EXPECT_EQ(hear(client, 1), "");
  EXPECT_TRUE(forwarder->wait_for_error_text("a connection to echo: UNAVAILABLE"));
  daemon_.restart();
  EXPECT_EQ(converse(connect("echo"), "after"), "after");
  forwarder->signal(SIGTERM);
  EXPECT_EQ(forwarder->wait(), 143);
  EXPECT_FALSE(std::filesystem::exists(path("f-echo")));
}

// What people come for. ssh-agent is not everywhere.
TEST_F(RelayCli, AnSshAgentSignsThroughAForwardedSocket) {
  const auto run = shell(R"(
    command -v ssh-agent ssh-add ssh-keygen > $DIR/found || { echo skipped; exit; }
    ssh-agent -D -a $DIR/real.agent > $DIR/log & agent=$!
    until [ -S $DIR/real.agent ]; do sleep 0.01; done
    ssh-keygen -q -t ed25519 -N '' -C guest -f $DIR/key
    SSH_AUTH_SOCK=$DIR/real.agent ssh-add -q $DIR/key
    mv $DIR/key $DIR/moved
    rm $DIR/echo.service; ln -s $DIR/real.agent $DIR/echo.service
    $HOSTCALL forward unix:$DIR/guest.sock echo > $DIR/ready & forward=$!
    until [ -s $DIR/ready ]; do sleep 0.01; done
    export SSH_AUTH_SOCK=$DIR/guest.sock
    ssh-add -l
    echo text > $DIR/text
    ssh-keygen -q -Y sign -f $DIR/key.pub -n file $DIR/text
    ssh-keygen -Y check-novalidate -n file -s $DIR/text.sig < $DIR/text
    kill $agent $forward; wait)");
  if (run.output == "skipped\n") GTEST_SKIP() << "there is no ssh-agent";
  EXPECT_TRUE(contains(run.output, " guest (ED25519)")) << run.output << run.errors;
  EXPECT_TRUE(contains(run.output, "Good \"file\" signature")) << run.output << run.errors;
}

}  // namespace
}  // namespace hostcall::test
