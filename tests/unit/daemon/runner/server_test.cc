// The runner's listening socket: who gets a connection, and when the runner may go.
#include "daemon/runner/server.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/runner/tcp_host.h"
#include "proto/net/socket.h"
#include "tests/support/manual_time.h"
#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

class RunnerServerTest : public testing::Test {
 protected:
  void serve(uid_t user) {
    auto listener = UniqueFd::adopt(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener.get(), 16), 0);
    server_.emplace(reactor_, std::move(listener), user, services_, host_, [this] { is_idle_ = true; });
  }
  // That waits to be accepted.
  UniqueFd knock() {
    auto connection = net::connect_packets(net::unix_address(path_));
    EXPECT_TRUE(connection.ok());
    return std::move(connection).value();
  }
  UniqueFd connect() {
    auto connection = knock();
    reactor_.run_ready();
    return connection;
  }
  static bool is_closed(const UniqueFd& connection) {
    char byte = 0;
    return ::recv(connection.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }
  void pass(Duration time) {
    time_.advance(time);
    reactor_.run_ready();
  }

  test::TempDir directory_;
  const std::string path_ = directory_ / "runner.sock";
  test::ManualTime time_;
  Reactor reactor_{time_};
  ServiceCache services_{{directory_.path()}};
  TcpHost host_{reactor_};
  std::optional<RunnerServer> server_;
  bool is_idle_ = false;
};

TEST_F(RunnerServerTest, ServesItsUser) {
  serve(::geteuid());
  const auto connection = connect();
  EXPECT_FALSE(is_closed(connection));
  EXPECT_EQ(server_->connections(), 1U);
}

TEST_F(RunnerServerTest, RefusesEverybodyElse) {
  serve(::geteuid() + 1);
  EXPECT_TRUE(is_closed(connect()));
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(RunnerServerTest, IsIdleWithoutConnections) {
  serve(::geteuid());
  auto connection = connect();
  pass(seconds(100));
  EXPECT_FALSE(is_idle_);
  connection.reset();
  pass(seconds(0));
  EXPECT_EQ(server_->connections(), 0U);
  EXPECT_FALSE(is_idle_);
  pass(seconds(5));
  EXPECT_TRUE(is_idle_);
}

TEST_F(RunnerServerTest, GoesIfNobodyConnects) {
  serve(::geteuid());
  pass(seconds(5));
  EXPECT_TRUE(is_idle_);
}

TEST_F(RunnerServerTest, HasFewConnections) {
  serve(::geteuid());
  std::vector<UniqueFd> connections;
  for (int i = 0; i < 8; ++i) connections.push_back(connect());
  EXPECT_TRUE(is_closed(connect()));
  EXPECT_FALSE(is_closed(connections.front()));
}

TEST_F(RunnerServerTest, EndsAll) {
  serve(::geteuid());
  const auto first = connect(), second = connect();
  server_->end();
  pass(seconds(0));
  EXPECT_TRUE(is_closed(first));
  EXPECT_TRUE(is_closed(second));
  EXPECT_TRUE(is_idle_);
}

// run_ready() would never return.
TEST_F(RunnerServerTest, WhoWaitsAtTheEndDoesNotKeepItBusy) {
  serve(::geteuid());
  const auto first = connect(), waiting = knock();
  server_->end();
  pass(seconds(0));
  EXPECT_TRUE(is_closed(first));
  EXPECT_FALSE(is_closed(waiting)) << "systemd's next hostcall-runner takes it";
  EXPECT_TRUE(is_idle_);
}

TEST_F(RunnerServerTest, PausesWithoutDescriptors) {
  serve(::geteuid());
  const auto waiting = knock();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  reactor_.run_ready();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  reactor_.run_ready();
  EXPECT_EQ(server_->connections(), 0U);
  pass(seconds(1));
  EXPECT_EQ(server_->connections(), 1U);
}

TEST_F(RunnerServerTest, TheTcpHostStartsNothing) {
  ServiceRecord record;
  record.name = "x";
  record.kind = ProgramService{};
  const auto program = std::make_shared<const ServiceRecord>(record);
  EXPECT_FALSE(host_.check(ProgramOrder{.service = program}).ok());
  SocketService socket;
  socket.unix_path = "/run/x";
  record.kind = socket;
  EXPECT_FALSE(host_.check(ConnectOrder{.service = std::make_shared<const ServiceRecord>(record)}).ok());
}

}  // namespace
}  // namespace hostcall::daemon
