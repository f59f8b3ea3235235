// hostcall-runner as a process of its own: --connect, and its command line.
#include "daemon/runner/packet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/net/socket.h"
#include "runner/runner.pb.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

using testing::HasSubstr;

class ConnectHelper : public testing::Test {
 protected:
  // Runs `--connect ADDRESS` with a socket as its standard input. Returns its reply.
  runner::Reply run(const std::string& address) {
    auto pair = packet_socket_pair();
    const auto pid = ::fork();
    if (pid == 0) {
      ::dup2(pair->second.get(), STDIN_FILENO);
      ::execl(HOSTCALL_RUNNER, HOSTCALL_RUNNER, "--connect", address.c_str(), nullptr);
      ::_exit(127);
    }
    pair->second.reset();
    pollfd ready{pair->first.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, static_cast<int>(test::kPatience.count())), 1);
    runner::Reply reply;
    std::vector<char> buffer(2 * kMaxPacketBytes);
    auto packet = receive_packet(pair->first.get(), buffer);
    if (packet.ok() && packet.value()) {
      EXPECT_TRUE(reply.ParseFromString(std::string((*packet)->bytes)));
      received_ = std::move((*packet)->descriptors);
    }
    ::waitpid(pid, &status_, 0);
    return reply;
  }

  test::TempDir directory_;
  std::vector<UniqueFd> received_;
  int status_ = -1;
};

TEST_F(ConnectHelper, ReturnsTheSocket) {
  const auto path = directory_ / "agent.sock";
  const auto listener = net::listen(net::unix_address(path));
  ASSERT_TRUE(listener.ok());
  EXPECT_TRUE(run("unix:" + path).has_connected());
  EXPECT_EQ(received_.size(), 1U);
  EXPECT_TRUE(net::accept(listener->get()).ok());
  EXPECT_EQ(status_, 0);
}

TEST_F(ConnectHelper, TellsWhyThereIsNone) {
  EXPECT_THAT(run("unix:/nowhere/agent.sock").failed().text(), HasSubstr("No such file or directory"));
  EXPECT_EQ(status_, 0);
}

TEST_F(ConnectHelper, TakesNothingButAUnixSocket) {
  EXPECT_EQ(run("tcp:127.0.0.1:80").what_case(), runner::Reply::WHAT_NOT_SET);
  EXPECT_EQ(WEXITSTATUS(status_), 2);
}

TEST(RunnerOptions, WrongOnesAreTold) {
  const std::vector<std::vector<std::string>> wrong = {
      {},      {"--direct"},  {"--direct", "--socket-fd", "2"}, {"--systemd", "--tcp"}, {"--systemd", "more"},
      {"--x"}, {"--connect"}, {"--direct", "--socket-fd", "3x"}};
  for (const auto& words : wrong) {
    std::vector<std::string> argv{HOSTCALL_RUNNER};
    argv.insert(argv.end(), words.begin(), words.end());
    const auto finished = test::run(argv);
    EXPECT_EQ(finished.code, 2) << testing::PrintToString(words);
    EXPECT_THAT(finished.errors, testing::MatchesRegex("hostcall-runner: .*; see hostcall-runner --help\n"));
  }
}

TEST(RunnerOptions, WithoutSystemdsSocketItEnds) {
  const auto finished = test::run({HOSTCALL_RUNNER, "--tcp", "--user", "root"});
  EXPECT_EQ(finished.code, 1);
  EXPECT_THAT(finished.errors, HasSubstr("systemd has passed no socket"));
}

TEST(RunnerOptions, HelpNamesAll) {
  const auto finished = test::run({HOSTCALL_RUNNER, "--help"});
  EXPECT_EQ(finished.code, 0);
  for (const char* option : {"--direct", "--systemd", "--tcp", "--connect", "--socket-fd", "--user", "--services"})
    EXPECT_THAT(finished.output, HasSubstr(option));
}

}  // namespace
}  // namespace hostcall::daemon
