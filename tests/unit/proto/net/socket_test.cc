// Sockets over AF_UNIX, as the kernel really behaves, and what can be shown of AF_VSOCK without connecting.
#include "proto/net/socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fstream>
#include <vector>

#include "tests/support/temp_dir.h"

namespace hostcall::net {
namespace {

using test::TempDir;
using testing::HasSubstr;
constexpr milliseconds kTimeout{2000};

template <class T>
T must(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message());
  return std::move(result).value();
}

struct SocketPair {
  SocketPair() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
      throw std::runtime_error("socketpair");
    left = UniqueFd::adopt(fds[0]);
    right = UniqueFd::adopt(fds[1]);
  }
  UniqueFd left, right;
};

iovec piece(std::string& bytes) { return {bytes.data(), bytes.size()}; }

bool is_nonblocking_and_cloexec(int fd) {
  return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

TEST(Socket, ListensAcceptsAndNamesThePeer) {
  const TempDir dir;
  const auto address = unix_address(dir / "s");
  const auto listener = must(listen(address));
  EXPECT_EQ(accept(listener.get()).error().code, EAGAIN) << "nobody is waiting";
  const auto client = must(start_connect(address, kTimeout));
  EXPECT_TRUE(finish_connect(client.get(), address).ok());
  const auto server = must(accept(listener.get()));
  for (const auto* fd : {&listener, &client, &server}) EXPECT_TRUE(is_nonblocking_and_cloexec(fd->get()));
  const auto peer = must(peer_of(server.get()));
  EXPECT_EQ(peer.family, Address::Family::kUnix);
  EXPECT_EQ(peer.uid, ::geteuid());
  EXPECT_EQ(peer.gid, ::getegid());
  EXPECT_EQ(peer.pid, ::getpid());
  EXPECT_EQ(must(listening_address(listener.get())), address);
}

TEST(Socket, GivesTheFileItsModeWhateverTheUmask) {
  const TempDir dir;
  const auto before = ::umask(0777);
  for (const mode_t mode : {0600u, 0660u, 0666u}) {
    const auto path = dir / ("s" + std::to_string(mode));
    const auto listener = must(listen(unix_address(path), mode));
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, mode);
  }
  ::umask(before);
}

TEST(Socket, RemovesAStaleSocketFile) {
  const TempDir dir;
  const auto address = unix_address(dir / "s");
  must(listen(address)).reset();
  ASSERT_TRUE(std::filesystem::is_socket(address.path)) << "the file outlives its listener";
  EXPECT_TRUE(listen(address).ok());
}

TEST(Socket, LeavesALiveListenerAlone) {
  const TempDir dir;
  const auto address = unix_address(dir / "s");
  const auto listener = must(listen(address));
  EXPECT_EQ(listen(address).error().code, EADDRINUSE);
  EXPECT_TRUE(start_connect(address, kTimeout).ok()) << "the first listener still has its file";
}

TEST(Socket, NeverRemovesOtherFiles) {
  const TempDir dir;
  const auto path = dir / "precious";
  std::ofstream(path) << "data";
  const auto refused = listen(unix_address(path));
  EXPECT_THAT(refused.error().message(), HasSubstr("not a socket"));
  EXPECT_TRUE(std::filesystem::is_regular_file(path));
  const auto link = dir / "link";
  std::filesystem::create_symlink(dir / "nowhere", link);
  EXPECT_FALSE(listen(unix_address(link)).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(link));
}

TEST(Socket, UsesTheWholePathLength) {
  const TempDir dir;
  auto path = dir / "";
  path.resize(kMaxUnixPath, 'p');
  const auto address = unix_address(path);
  const auto listener = must(listen(address));
  EXPECT_EQ(must(listening_address(listener.get())), address);
  EXPECT_TRUE(start_connect(address, kTimeout).ok());
}

TEST(Socket, ListensOnAbstractNames) {
  const auto address = unix_address("@hostcall-test-" + std::to_string(::getpid()));
  auto listener = must(listen(address));
  EXPECT_EQ(must(listening_address(listener.get())), address);
  EXPECT_TRUE(start_connect(address, kTimeout).ok());
  EXPECT_EQ(listen(address).error().code, EADDRINUSE);
  listener.reset();
  EXPECT_EQ(start_connect(address, kTimeout).error().code, ECONNREFUSED) << "an abstract name leaves nothing behind";
}

TEST(Socket, ConnectErrorsNameTheAddress) {
  const TempDir dir;
  const auto refused = start_connect(unix_address(dir / "nobody"), kTimeout);
  EXPECT_EQ(refused.error().code, ENOENT);
  EXPECT_THAT(refused.error().message(), HasSubstr("unix:" + (dir / "nobody")));
}

TEST(Socket, RefusesInheritedSocketsThatAreNotStreamListeners) {
  const SocketPair pair;
  EXPECT_THAT(listening_address(pair.left.get()).error().message(), HasSubstr("not listening"));
  const auto datagram = UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(listening_address(datagram.get()).error().code, ESOCKTNOSUPPORT);
  const auto file = UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(listening_address(file.get()).error().code, ENOTSOCK);
  const auto tcp = UniqueFd::adopt(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::listen(tcp.get(), 1), 0);
  EXPECT_EQ(listening_address(tcp.get()).error().code, EAFNOSUPPORT);
}

TEST(Socket, SendsNoMoreThan32KiBAtOnce) {
  const SocketPair pair;
  std::string large(100'000, 'a'), first(20'000, 'b'), second(20'000, 'c');
  EXPECT_EQ(must(send(pair.left.get(), std::vector{piece(large)})), kMaxSendBytes);
  EXPECT_EQ(must(send(pair.left.get(), std::vector{piece(first), piece(second)})), kMaxSendBytes);
  std::string received(2 * kMaxSendBytes + 1, '\0');
  EXPECT_EQ(must(receive(pair.right.get(), received)).bytes, 2 * kMaxSendBytes);
  EXPECT_EQ(received.substr(kMaxSendBytes, first.size()), first);
  EXPECT_EQ(received[2 * kMaxSendBytes - 1], 'c');
}

TEST(Socket, OnlyVsockNeedsSmallSends) {
  EXPECT_EQ(max_send_bytes(Address::Family::kVsock), kMaxSendBytes);
  const SocketPair pair;
  std::string large(100'000, 'a');
  EXPECT_EQ(must(send(pair.left.get(), std::vector{piece(large)}, max_send_bytes(Address::Family::kUnix))),
            large.size());
}

TEST(Socket, HasRoomForAStreamsWindow) {
  const SocketPair pair;
  make_room_for_streams(pair.left.get());
  std::string message(64 * 1024 + 24, 'm');
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(must(send(pair.left.get(), std::vector{piece(message)}, kMaxUnixSendBytes)), message.size()) << i;
  int bytes = 0;
  socklen_t size = sizeof bytes;
  ASSERT_EQ(::getsockopt(pair.left.get(), SOL_SOCKET, SO_SNDBUF, &bytes, &size), 0);
  EXPECT_GE(bytes, kStreamRoomBytes);
  make_room_for_streams(pair.left.get());
  int again = 0;
  ASSERT_EQ(::getsockopt(pair.left.get(), SOL_SOCKET, SO_SNDBUF, &again, &size), 0);
  EXPECT_EQ(again, bytes) << "what a peer that does not read can make the kernel hold";
}

TEST(Socket, SendsNoMorePiecesThanTheKernelTakesWithoutAllocating) {
  const SocketPair pair;
  std::string byte = "x";
  EXPECT_EQ(must(send(pair.left.get(), std::vector<iovec>(1000, piece(byte)))), 64u);
}

TEST(Socket, SendsAllInAsManyCallsAsItTakes) {
  SocketPair pair;
  std::string first(1'000, 'a'), second(50'000, 'b');
  std::vector<iovec> pieces{piece(first), {}, piece(second)};
  ASSERT_EQ(must(send_all(pair.left.get(), pieces, 20'000)), 51'000u);
  std::string got(60'000, ' ');
  got.resize(must(receive(pair.right.get(), got)).bytes);
  EXPECT_EQ(got, first + second);
}

TEST(Socket, SendsAllUntilTheSocketIsFull) {
  SocketPair pair;
  std::string much(10'000'000, 'm');
  std::vector<iovec> pieces{piece(much)};
  const auto taken = must(send_all(pair.left.get(), pieces, kMaxUnixSendBytes));
  EXPECT_GT(taken, 0u);
  EXPECT_LT(taken, much.size());
  EXPECT_EQ(must(send_all(pair.left.get(), pieces)), 0u);
  pair.right.reset();
  EXPECT_FALSE(send_all(pair.left.get(), pieces).ok());
}

TEST(Socket, AFullSocketTakesNothing) {
  const SocketPair pair;
  std::string bytes(kMaxSendBytes, 'x');
  std::size_t total = 0, sent = 0;
  while ((sent = must(send(pair.left.get(), std::vector{piece(bytes)}))) != 0) total += sent;
  EXPECT_GT(total, 0u);
  std::string drained(total, '\0');
  std::size_t got = 0;
  while (got < total) got += must(receive(pair.right.get(), std::span(drained).subspan(got))).bytes;
  EXPECT_GT(must(send(pair.left.get(), std::vector{piece(bytes)})), 0u);
}

TEST(Socket, SendingToAGonePeerIsAnErrorAndNoSignal) {
  ASSERT_EQ(::signal(SIGPIPE, SIG_DFL), SIG_DFL) << "the signal would end this process";
  SocketPair pair;
  pair.right.reset();
  std::string bytes = "x";
  EXPECT_EQ(send(pair.left.get(), std::vector{piece(bytes)}).error().code, EPIPE);
}

TEST(Socket, TellsNothingYetFromTheEnd) {
  SocketPair pair;
  char buffer[16];
  EXPECT_TRUE(must(receive(pair.left.get(), buffer)).would_block);
  std::string bytes = "abc";
  must(send(pair.right.get(), std::vector{piece(bytes)}));
  pair.right.reset();
  const auto data = must(receive(pair.left.get(), buffer));
  EXPECT_EQ(data.bytes, 3u);
  EXPECT_FALSE(data.end || data.would_block);
  EXPECT_TRUE(must(receive(pair.left.get(), buffer)).end);
}

TEST(Socket, KnowsWhichConnectErrorsMayPass) {
  for (const int code :
       {EAGAIN, ENODEV, ENETUNREACH, ECONNRESET, ETIMEDOUT, EADDRNOTAVAIL, EPROTO, ENOBUFS, EPIPE, ENOTCONN})
    EXPECT_TRUE(is_retriable_connect_error(code)) << ::strerror(code);
  for (const int code : {0, ENOENT, ECONNREFUSED, EACCES, EPERM, EINVAL, EAFNOSUPPORT, EMFILE, EADDRINUSE})
    EXPECT_FALSE(is_retriable_connect_error(code)) << ::strerror(code);
}

// Binds and listens only. Connecting would reach another service of this host.
TEST(Vsock, ListensOnAnyCid) {
  constexpr std::uint32_t kAnyPort = 0xFFFFFFFF;
  auto listener = listen(Address{.family = Address::Family::kVsock, .cid = kCidAny, .port = kAnyPort, .path = {}});
  if (!listener.ok() && listener.error().code == EAFNOSUPPORT) GTEST_SKIP() << "no AF_VSOCK here";
  ASSERT_TRUE(listener.ok()) << listener.error().message();
  const auto bound = must(listening_address(listener->get()));
  EXPECT_EQ(bound.family, Address::Family::kVsock);
  EXPECT_EQ(bound.cid, kCidAny);
  EXPECT_NE(bound.port, kAnyPort) << "the kernel has chosen one";
  EXPECT_EQ(Address::parse(bound.to_string()).value(), bound);
  const auto again = listen(bound);
  EXPECT_EQ(again.error().code, EADDRINUSE);
  EXPECT_THAT(again.error().message(), HasSubstr(bound.to_string()));
}

UniqueFd vsock_socket() { return UniqueFd::adopt(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

// Binds only, as above.
class VsockSource : public testing::Test {
 protected:
  void SetUp() override {
    const auto fd = vsock_socket();
    if (!fd) GTEST_SKIP() << "no AF_VSOCK here";
    const auto bound = bind_source(fd.get(), SourcePort::privileged(0));
    if (!bound.ok()) GTEST_SKIP() << bound.error().message();
  }
};

TEST_F(VsockSource, APrivilegedPortIsAFreeOne) {
  for (const std::uint32_t random : {0u, 511u, 512u, 0xFFFFFFFFu}) {
    const auto first = vsock_socket(), second = vsock_socket();
    const auto port = must(bind_source(first.get(), SourcePort::privileged(random)));
    const auto other = must(bind_source(second.get(), SourcePort::privileged(random)));
    EXPECT_NE(port, other) << "its first choice is taken";
    for (const auto bound : {port, other}) {
      EXPECT_GE(bound, kFirstPrivilegedSource);
      EXPECT_LT(bound, kPrivilegedPorts);
    }
  }
}

TEST_F(VsockSource, AFixedPortIsThatOrNone) {
  const auto first = vsock_socket(), second = vsock_socket();
  const auto port = must(bind_source(first.get(), SourcePort::privileged(7)));
  const auto refused = bind_source(second.get(), SourcePort::fixed(port));
  EXPECT_EQ(refused.error().code, EADDRINUSE);
  EXPECT_THAT(refused.error().message(), HasSubstr("bind source port " + std::to_string(port)));
}

TEST_F(VsockSource, APrivilegedPortNeedsTheCapability) {
  constexpr uid_t kNobody = 65534;
  const auto fd = vsock_socket();
  const auto user = ::geteuid();
  ASSERT_EQ(::seteuid(kNobody), 0) << "takes the effective capabilities away";
  const auto refused = bind_source(fd.get(), SourcePort::privileged(0));
  ASSERT_EQ(::seteuid(user), 0);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, EACCES);
  EXPECT_EQ(refused.error().message(), "bind a source port from 512 to 1023: Permission denied");
}

}  // namespace
}  // namespace hostcall::net
