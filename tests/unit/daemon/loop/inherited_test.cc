// What systemd passes: each test in a child, whose descriptors from 3 on are systemd's.
#include "daemon/loop/inherited.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "proto/net/socket.h"
#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

using net::unix_address;

// For a child.
void require(bool so, const char* what) {
  if (so) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::exit(1);
}

// As systemd does it: descriptors from 3 on, and their number and names for this process.
void pass(const std::vector<int>& fds, const char* names = nullptr) {
  std::vector<int> copies;
  for (const int fd : fds) copies.push_back(::fcntl(fd, F_DUPFD, 100));
  for (std::size_t i = 0; i < copies.size(); ++i) require(::dup2(copies[i], 3 + static_cast<int>(i)) >= 0, "dup2");
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDS", std::to_string(fds.size()).c_str(), 1);
  if (names != nullptr) ::setenv("LISTEN_FDNAMES", names, 1);
}

class InheritedTest : public testing::Test {
 protected:
  hostcall::test::TempDir directory_;
  const std::string path_ = directory_ / "l.sock";
};

TEST_F(InheritedTest, TakesOverTheSocketsOfSystemd) {
  const auto in_child = [this] {
    auto first = net::listen(unix_address(path_)), second = net::listen(unix_address(directory_ / "m.sock"));
    for (const int fd : {first->get(), second->get()}) ::fcntl(fd, F_SETFL, 0);  // systemd's block
    pass({first->get(), second->get()}, "hostcalld.socket:mine");
    auto inherited = take_inherited();
    require(inherited.ok() && inherited->sockets.size() == 2, "both are taken");
    const auto& sockets = inherited->sockets;
    require(sockets[0].fd.get() == 3 && sockets[0].address.path == path_, "the first");
    require(sockets[1].fd.get() == 4 && sockets[1].address.path == directory_ / "m.sock", "the second");
    for (const auto& socket : sockets) {
      require((::fcntl(socket.fd.get(), F_GETFL) & O_NONBLOCK) != 0, "accept() must not wait");
      require((::fcntl(socket.fd.get(), F_GETFD) & FD_CLOEXEC) != 0, "children do not get it");
    }
    for (const char* name : {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"})
      require(std::getenv(name) == nullptr, "children are not told of it");
    std::exit(0);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(0), "");
}

// So that no guest is connected to them as hostcalld.
TEST_F(InheritedTest, TheSocketsOfSystemdBecomeItsOwn) {
  const auto listener = net::listen(unix_address(path_));
  const auto in_child = [&] {
    pass({listener->get()});
    const auto inherited = take_inherited();
    require(inherited.ok() && inherited->sockets.size() == 1, "it is taken");
    const auto peer = net::start_connect(unix_address(path_), milliseconds(0));
    ucred owner{};
    socklen_t size = sizeof owner;
    require(::getsockopt(peer->get(), SOL_SOCKET, SO_PEERCRED, &owner, &size) == 0, "SO_PEERCRED");
    require(owner.pid == ::getpid(), "whoever connects sees this process");
    std::exit(0);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(0), "");
}

TEST_F(InheritedTest, WithoutSystemdThereIsNothing) {
  const auto inherited = take_inherited();
  ASSERT_TRUE(inherited.ok());
  EXPECT_TRUE(inherited->sockets.empty() && inherited->warnings.empty());
  EXPECT_TRUE(inherited->stored.states.empty() && inherited->stored.carriers.empty());
}

TEST_F(InheritedTest, RefusesASocketThatDoesNotListen) {
  for (const char* const names : {static_cast<const char*>(nullptr), "hostcalld.socket"}) {
    const auto in_child = [names] {
      int pair[2];
      require(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
      pass({pair[0]}, names);
      const auto inherited = take_inherited();
      require(!inherited.ok(), "it is refused");
      std::fprintf(stderr, "%s\n", inherited.error().message().c_str());
      std::exit(0);
    };
    EXPECT_EXIT(in_child(), testing::ExitedWithCode(0), "inherited socket 3 is not listening");
  }
  const auto closed = [] {
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", "1", 1);
    ::close(3);
    const auto inherited = take_inherited();
    require(!inherited.ok(), "it is refused");
    std::exit(0);
  };
  EXPECT_EXIT(closed(), testing::ExitedWithCode(0), "");
}

// What was stored is told by its name, also where it could be taken for something else, and kept as it is.
TEST_F(InheritedTest, TellsWhatWasStoredByItsName) {
  const auto in_child = [this] {
    const auto listener = net::listen(unix_address(path_));
    int pair[2];
    require(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0, "socketpair");
    pass({pair[0], listener->get(), pair[1], listener->get()},
         "hostcall-carrier:hostcalld.socket:hostcall-state:hostcall-state");
    const auto inherited = take_inherited();
    require(inherited.ok() && inherited->warnings.empty(), "all is known");
    const auto& stored = inherited->stored;
    require(stored.carriers.size() == 1 && stored.carriers[0].get() == 3, "the carrier");
    require(stored.states.size() == 2 && stored.states[0].get() == 5 && stored.states[1].get() == 6, "both states");
    require((::fcntl(3, F_GETFL) & O_NONBLOCK) == 0, "it is as it was stored");
    require((::fcntl(3, F_GETFD) & FD_CLOEXEC) != 0, "children do not get it");
    require(inherited->sockets.size() == 1 && inherited->sockets[0].fd.get() == 4, "the socket");
    std::exit(0);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(0), "");
}

// A later build may have stored something else.
TEST_F(InheritedTest, ClosesWhatItDoesNotKnow) {
  const auto in_child = [this] {
    const auto listener = net::listen(unix_address(path_));
    int pair[2];
    require(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
    pass({pair[0], listener->get(), ::open("/dev/null", O_RDONLY)}, "hostcall-late\"r:own-name:stored");
    const auto inherited = take_inherited();
    require(inherited.ok() && inherited->sockets.size() == 1, "the daemon starts with what it knows");
    require(inherited->warnings.size() == 2, "the operator is told");
    require(::fcntl(3, F_GETFD) < 0 && ::fcntl(5, F_GETFD) < 0, "nothing else stays open");
    std::fprintf(stderr, "%s\n", inherited->warnings[0].c_str());
    std::exit(0);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(0),
              "systemd has passed \"hostcall-late.x22r\", which is no listening");
}

}  // namespace
}  // namespace hostcall::daemon
