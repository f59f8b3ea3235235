#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <filesystem>
#include <functional>

#include "proto/net/socket.h"
#include "tests/unit/client/server/server_rig.h"

namespace hostcall::test {
namespace {

using testing::HasSubstr;
using HostcallCode = hostcall::Code;

class SocketTest : public testing::Test, protected ServerRig {
 protected:
  Status failure(const std::string& where) { return Server::listen(where, options).status(); }
  bool file_exists() const { return std::filesystem::exists(std::filesystem::symlink_status(path)); }
  mode_t mode() const {
    struct stat status {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0);
    return status.st_mode & 07777;
  }
};

TEST_F(SocketTest, MakesAndRemovesItsFile) {
  options.mode = 0620;
  start();
  EXPECT_EQ(mode(), 0620u);
  serve_echo();
  EXPECT_TRUE(connect()->call(Echo::kFullName).status.ok());
  server.reset();
  EXPECT_FALSE(file_exists());
}

TEST_F(SocketTest, TheDefaultModeIsForTheGroup) {
  start();
  EXPECT_EQ(mode(), 0660u);
}

TEST_F(SocketTest, GivesTheFileToAGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give it to any group";
  options.group = "daemon";
  start();
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_gid, 1u);
  server.reset();
  options.group = "no-such-group";
  EXPECT_THAT(failure(address).message, HasSubstr("no group \"no-such-group\""));
  EXPECT_FALSE(file_exists()) << "a failed start leaves nothing";
}

TEST_F(SocketTest, ReplacesAStaleFile) {
  {
    const auto left_behind = net::listen(net::unix_address(path));
    ASSERT_TRUE(left_behind.ok());
  }
  ASSERT_TRUE(file_exists());
  start();
  serve_echo();
  EXPECT_TRUE(connect()->call(Echo::kFullName).status.ok());
}

TEST_F(SocketTest, LeavesALiveSocketAlone) {
  start();
  const auto status = failure(address);
  EXPECT_EQ(status.code, HostcallCode::kUnavailable);
  EXPECT_THAT(status.message, HasSubstr("another process listens there"));
  serve_echo();
  EXPECT_TRUE(connect()->call(Echo::kFullName).status.ok());
}

TEST_F(SocketTest, LeavesOtherFilesAlone) {
  dir.write("s.sock", "precious");
  EXPECT_EQ(failure(address).code, HostcallCode::kUnavailable);
  EXPECT_TRUE(file_exists());
}

TEST_F(SocketTest, RemovesOnlyItsOwnFile) {
  start();
  std::filesystem::remove(path);
  const auto successor = net::listen(net::unix_address(path));
  ASSERT_TRUE(successor.ok());
  server.reset();
  EXPECT_TRUE(file_exists());
}

TEST_F(SocketTest, AbstractNames) {
  address = "unix:@hc-test-socket-" + std::to_string(::getpid());
  start();
  serve_echo();
  EXPECT_TRUE(connect()->call(Echo::kFullName).status.ok());
}

TEST_F(SocketTest, RefusesOtherAddresses) {
  for (const auto* bad : {"", "tcp:1.2.3.4:5", "vsock::18499", "unix:relative"})
    EXPECT_EQ(failure(bad).code, HostcallCode::kInvalidArgument) << bad;
  EXPECT_EQ(failure("unix:" + dir / "none" + "/s.sock").code, HostcallCode::kUnavailable);
}

// Runs in a child process, whose descriptor 3 is what systemd would pass. Returns its exit code.
int with_passed(int fd, const std::function<int()>& run, const char* fds = "1", pid_t pid = 0) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (fd != 3) ::dup2(fd, 3);
    ::setenv("LISTEN_FDS", fds, 1);
    ::setenv("LISTEN_PID", std::to_string(pid == 0 ? ::getpid() : pid).c_str(), 1);
    ::_exit(run());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class SystemdTest : public SocketTest {
 protected:
  int code_of_start() {
    const auto made = Server::from_systemd(options);
    return static_cast<int>(made.status().code);
  }
};

TEST_F(SystemdTest, ServesWhatItIsPassed) {
  auto listener = net::listen(net::unix_address(path));
  ASSERT_TRUE(listener.ok());
  // As systemd passes it: blocking, and inherited by everybody.
  ::fcntl(listener->get(), F_SETFL, 0);
  const auto code = with_passed(listener->get(), [&] {
    auto made = Server::from_systemd(options);
    if (!made.ok()) return 1;
    server.emplace(*std::move(made));
    serve_echo();
    if (::getenv("LISTEN_FDS") != nullptr || ::getenv("LISTEN_PID") != nullptr) return 2;
    if ((::fcntl(3, F_GETFD) & FD_CLOEXEC) == 0) return 3;
    if (!connect()->call(Echo::kFullName).status.ok()) return 4;
    server.reset();
    return file_exists() ? 0 : 5;
  });
  EXPECT_EQ(code, 0);
}

TEST_F(SystemdTest, SaysIfThereIsNothing) {
  auto listener = net::listen(net::unix_address(path));
  ASSERT_TRUE(listener.ok());
  const auto run = [&] { return code_of_start(); };
  const int none = static_cast<int>(HostcallCode::kFailedPrecondition);
  EXPECT_EQ(with_passed(listener->get(), run, "0"), none);
  EXPECT_EQ(with_passed(listener->get(), run, "x"), none);
  EXPECT_EQ(with_passed(listener->get(), run, "1", 1), none) << "for another process";
}

TEST_F(SystemdTest, RefusesOtherSockets) {
  const auto run = [&] { return code_of_start(); };
  const int bad = static_cast<int>(HostcallCode::kInvalidArgument);
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  EXPECT_EQ(with_passed(pair[0], run), bad) << "a connection, as Accept=yes passes it";
  const auto datagrams = UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM, 0));
  EXPECT_EQ(with_passed(datagrams.get(), run), bad);
  EXPECT_EQ(with_passed(UniqueFd::adopt(::open("/dev/null", O_RDONLY)).get(), run), bad);
  ::close(pair[0]);
  ::close(pair[1]);
}

}  // namespace
}  // namespace hostcall::test
