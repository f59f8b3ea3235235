#include "proto/net/socket.h"

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "proto/base/standard_fds.h"

namespace hostcall::net {
namespace {

constexpr int kSocketFlags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

timeval to_timeval(milliseconds time) {
  timeval value{};
  value.tv_sec = time.count() / 1000;
  value.tv_usec = time.count() % 1000 * 1000;
  return value;
}

// The largest member comes first: `{}` clears only the first member of a union.
union SocketAddress {
  sockaddr_un un;
  sockaddr_vm vm;
  sockaddr any;
};

// A sockaddr with its length, which is part of an abstract name.
struct RawAddress {
  SocketAddress data{};
  socklen_t length = 0;
};

RawAddress to_raw(const Address& address) {
  RawAddress raw;
  if (address.family == Address::Family::kVsock) {
    raw.data.vm.svm_family = AF_VSOCK;
    raw.data.vm.svm_cid = address.cid;
    raw.data.vm.svm_port = address.port;
    raw.length = sizeof raw.data.vm;
    return raw;
  }
  raw.data.un.sun_family = AF_UNIX;
  // Address::parse() bounds the path, so the last byte stays NUL.
  address.path.copy(raw.data.un.sun_path, sizeof raw.data.un.sun_path - 1);
  if (address.is_abstract()) raw.data.un.sun_path[0] = '\0';
  const std::size_t terminator = address.is_abstract() ? 0 : 1;
  raw.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.path.size() + terminator);
  return raw;
}

Result<Address> from_raw(const RawAddress& raw) {
  if (raw.data.any.sa_family == AF_VSOCK)
    return Address{
        .family = Address::Family::kVsock, .cid = raw.data.vm.svm_cid, .port = raw.data.vm.svm_port, .path = {}};
  if (raw.data.any.sa_family != AF_UNIX) return Error{EAFNOSUPPORT, "socket family"};
  const std::size_t bytes = raw.length - offsetof(sockaddr_un, sun_path);
  std::string path(raw.data.un.sun_path, bytes);
  if (!path.empty() && path[0] == '\0')
    path[0] = '@';
  else
    path.resize(path.find('\0') == std::string::npos ? path.size() : path.find('\0'));
  return Address{.family = Address::Family::kUnix, .cid = 0, .port = 0, .path = std::move(path)};
}

Result<UniqueFd> open_socket(const Address& address, int flags = kSocketFlags) {
  const int family = address.family == Address::Family::kVsock ? AF_VSOCK : AF_UNIX;
  return adopt_above_standard_fds(::socket(family, flags, 0), "socket for " + address.to_string());
}

// Whether a connect() to the path is refused, so that nobody listens there.
bool refuses_connections(const Address& address) {
  auto fd = open_socket(address);
  if (!fd.ok()) return false;
  const auto raw = to_raw(address);
  return ::connect(fd->get(), &raw.data.any, raw.length) != 0 && errno == ECONNREFUSED;
}

Done remove_stale_file(const Address& address) {
  struct stat status {};
  if (::lstat(address.path.c_str(), &status) != 0) {
    if (errno == ENOENT) return done();
    return Error::from_errno("stat " + address.path);
  }
  if (!S_ISSOCK(status.st_mode))
    return Error{0,
                 address.to_string() + ": a file that is not a socket has this path; remove it or choose another path"};
  if (!refuses_connections(address)) return Error{EADDRINUSE, address.to_string() + " (another process listens there)"};
  if (status.st_uid != ::geteuid())
    return Error{0, address.to_string() + ": nobody listens on this socket, but uid " + std::to_string(status.st_uid) +
                        " has made it; remove it or choose another path"};
  // Somebody may have replaced it meanwhile.
  if (socket_file(address) != FileId{status.st_dev, status.st_ino})
    return Error{EADDRINUSE, address.to_string() + " (another process has just made this socket)"};
  if (::unlink(address.path.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno("unlink the stale socket " + address.path);
  return done();
}

Result<int> int_option(int fd, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  if (::getsockopt(fd, SOL_SOCKET, option, &value, &length) != 0) return Error::from_errno("getsockopt");
  return value;
}

Result<RawAddress> local_address(int fd) {
  RawAddress raw;
  raw.length = sizeof raw.data;
  if (::getsockname(fd, &raw.data.any, &raw.length) != 0) return Error::from_errno("getsockname");
  return raw;
}

constexpr std::uint32_t kPrivilegedSources = kPrivilegedPorts - kFirstPrivilegedSource;

// The port of the i-th try; wraps around after the last privileged port.
std::uint32_t port_at(const SourcePort& source, std::uint32_t i) {
  if (!source.search) return source.first;
  return kFirstPrivilegedSource + (source.first - kFirstPrivilegedSource + i) % kPrivilegedSources;
}

std::string to_text(const SourcePort& source) {
  if (!source.search) return "source port " + std::to_string(source.first);
  return "a source port from " + std::to_string(kFirstPrivilegedSource) + " to " + std::to_string(kPrivilegedPorts - 1);
}

}  // namespace

std::optional<FileId> socket_file(const Address& address) {
  struct stat status {};
  if (address.family != Address::Family::kUnix || address.is_abstract()) return std::nullopt;
  if (::lstat(address.path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return std::nullopt;
  return FileId{status.st_dev, status.st_ino};
}

void refuse_descriptors(int listener) {
  constexpr int kSoPassRights = 83;  // SO_PASSRIGHTS, which Debian 13's headers lack
  constexpr int kOff = 0;
  (void)::setsockopt(listener, SOL_SOCKET, kSoPassRights, &kOff, sizeof kOff);
}

Result<UniqueFd> listen(const Address& address, mode_t mode) {
  const bool has_file = address.family == Address::Family::kUnix && !address.is_abstract();
  if (has_file) HOSTCALL_TRY(remove_stale_file(address));
  auto fd = HOSTCALL_TRY(open_socket(address));
  const auto raw = to_raw(address);
  // Sets the mode before bind(): between bind() and chmod() anyone could connect.
  if (has_file && ::fchmod(fd.get(), mode) != 0) return Error::from_errno("fchmod " + address.to_string());
  if (::bind(fd.get(), &raw.data.any, raw.length) != 0) return Error::from_errno("bind " + address.to_string());
  // The umask has cleared bits. Nobody can connect before listen(), but whoever may write into the directory can have
  // put a link in the socket's place.
  if (has_file && ::fchmodat(AT_FDCWD, address.path.c_str(), mode, AT_SYMLINK_NOFOLLOW) != 0)
    return Error::from_errno("chmod " + address.path);
  refuse_descriptors(fd.get());
  if (::listen(fd.get(), kBacklog) != 0) return Error::from_errno("listen on " + address.to_string());
  return fd;
}

Result<Address> listening_address(int fd) {
  if (HOSTCALL_TRY(int_option(fd, SO_TYPE)) != SOCK_STREAM)
    return Error{ESOCKTNOSUPPORT, "inherited socket " + std::to_string(fd)};
  if (HOSTCALL_TRY(int_option(fd, SO_ACCEPTCONN)) != 1)
    return Error{0, "inherited socket " + std::to_string(fd) + " is not listening"};
  return from_raw(HOSTCALL_TRY(local_address(fd)));
}

Result<UniqueFd> accept(int listener) {
  for (;;) {
    auto fd = adopt_above_standard_fds(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC), "accept");
    // The peer of this connection has gone; the next one may be there.
    if (!fd.ok() && (fd.error().code == EINTR || fd.error().code == ECONNABORTED)) continue;
    return fd;
  }
}

Result<Peer> peer_of(int fd) {
  const auto local = HOSTCALL_TRY(local_address(fd));
  Peer peer;
  if (local.data.any.sa_family == AF_VSOCK) {
    RawAddress remote;
    remote.length = sizeof remote.data;
    if (::getpeername(fd, &remote.data.any, &remote.length) != 0) return Error::from_errno("getpeername");
    peer.family = Address::Family::kVsock;
    peer.local_cid = local.data.vm.svm_cid;
    peer.cid = remote.data.vm.svm_cid;
    peer.port = remote.data.vm.svm_port;
    return peer;
  }
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return Error::from_errno("SO_PEERCRED");
  peer.uid = credentials.uid;
  peer.gid = credentials.gid;
  peer.pid = credentials.pid;
  return peer;
}

Result<std::vector<gid_t>> peer_groups(int fd) {
  std::vector<gid_t> groups(64);
  socklen_t bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int failed = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
  if (failed != 0 && errno == ERANGE) {
    // The kernel has returned the size that it needs.
    groups.resize(bytes / sizeof(gid_t));
    failed = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
  }
  if (failed != 0) return Error::from_errno("SO_PEERGROUPS");
  groups.resize(bytes / sizeof(gid_t));
  return groups;
}

SourcePort SourcePort::privileged(std::uint32_t random) {
  return {kFirstPrivilegedSource + random % kPrivilegedSources, true};
}

Result<std::uint32_t> bind_source(int fd, const SourcePort& source) {
  const std::uint32_t tries = source.search ? kPrivilegedSources : 1;
  for (std::uint32_t i = 0; i < tries; ++i) {
    const auto port = port_at(source, i);
    const auto raw = to_raw({.family = Address::Family::kVsock, .cid = kCidAny, .port = port, .path = {}});
    if (::bind(fd, &raw.data.any, raw.length) == 0) return port;
    if (errno != EADDRINUSE) break;
  }
  return Error::from_errno("bind " + to_text(source));
}

void make_room_for_streams(int fd) {
  constexpr int kAsked = kStreamRoomBytes / 2;  // the kernel doubles it for its overhead
  const auto room = int_option(fd, SO_SNDBUF);
  if (!room.ok() || room.value() >= kStreamRoomBytes) return;
  (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kAsked, sizeof kAsked);
}

Result<UniqueFd> start_connect(const Address& address, milliseconds timeout, const SourcePort& source) {
  auto fd = HOSTCALL_TRY(open_socket(address));
  if (address.family == Address::Family::kVsock) {
    const auto limit = to_timeval(timeout);
    if (::setsockopt(fd.get(), AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit, sizeof limit) != 0)
      return Error::from_errno("set the connect timeout of " + address.to_string());
    if (source.first != 0) HOSTCALL_TRY(bind_source(fd.get(), source));
  } else {
    make_room_for_streams(fd.get());
  }
  const auto raw = to_raw(address);
  if (::connect(fd.get(), &raw.data.any, raw.length) != 0 && errno != EINPROGRESS)
    return Error::from_errno("connect " + address.to_string());
  return fd;
}

Done finish_connect(int fd, const Address& address) {
  const int code = HOSTCALL_TRY(int_option(fd, SO_ERROR));
  if (code != 0) return Error{code, "connect " + address.to_string()};
  return done();
}

namespace {

Result<UniqueFd> connect_at_once(const Address& address, int type) {
  auto fd = HOSTCALL_TRY(open_socket(address, type | SOCK_NONBLOCK | SOCK_CLOEXEC));
  const auto raw = to_raw(address);
  if (::connect(fd.get(), &raw.data.any, raw.length) != 0) return Error::from_errno("connect " + address.to_string());
  return fd;
}

}  // namespace

Result<UniqueFd> connect_packets(const Address& address) { return connect_at_once(address, SOCK_SEQPACKET); }

Result<UniqueFd> connect_datagrams(const Address& address) { return connect_at_once(address, SOCK_DGRAM); }

bool is_retriable_connect_error(int code) {
  // EAGAIN: a Unix listener's backlog is full. The others: a vsock transport, VM or host is going down or coming up.
  constexpr int kRetriable[] = {EAGAIN,        ENODEV, ENETUNREACH, ECONNRESET, ETIMEDOUT,
                                EADDRNOTAVAIL, EPROTO, ENOBUFS,     EPIPE,      ENOTCONN};
  return std::ranges::find(kRetriable, code) != std::end(kRetriable);
}

namespace {

constexpr int kSendFlags = MSG_NOSIGNAL | MSG_DONTWAIT;

// Returns the bytes that a send took; repeats it when a signal interrupts.
template <class Send>
Result<std::size_t> taken_by(Send send) {
  for (;;) {
    const ssize_t sent = send();
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EAGAIN) return std::size_t{0};
    if (errno != EINTR) return Error::from_errno("send");
  }
}

Result<std::size_t> send_pieces(int fd, std::span<const iovec> pieces, std::size_t most) {
  constexpr std::size_t kMaxPieces = 64;
  iovec bounded[kMaxPieces];
  std::size_t count = 0;
  std::size_t left = most;
  for (const auto& piece : pieces) {
    if (left == 0 || count == kMaxPieces) break;
    bounded[count] = piece;
    bounded[count].iov_len = std::min(piece.iov_len, left);
    left -= bounded[count++].iov_len;
  }
  msghdr message{};
  message.msg_iov = bounded;
  message.msg_iovlen = count;
  return taken_by([&] { return ::sendmsg(fd, &message, kSendFlags); });
}

}  // namespace

Result<std::size_t> send(int fd, std::span<const iovec> pieces, std::size_t most) {
  if (pieces.size() != 1) return send_pieces(fd, pieces, most);
  // Fast path: less to copy and to check, here and in the kernel.
  const auto& piece = pieces.front();
  return taken_by([&] { return ::send(fd, piece.iov_base, std::min(piece.iov_len, most), kSendFlags); });
}

namespace {

// Removes the first `bytes`.
std::span<iovec> drop_front(std::span<iovec> pieces, std::size_t bytes) {
  while (!pieces.empty() && bytes >= pieces.front().iov_len) {
    bytes -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (!pieces.empty()) {
    pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + bytes;
    pieces.front().iov_len -= bytes;
  }
  return pieces;
}

}  // namespace

Result<std::size_t> send_all(int fd, std::span<iovec> pieces, std::size_t most) {
  std::size_t total = 0;
  while (!pieces.empty()) {
    const auto sent = send(fd, pieces, most);
    if (!sent.ok() && total == 0) return sent;
    if (!sent.ok() || sent.value() == 0) break;
    total += sent.value();
    pieces = drop_front(pieces, sent.value());
    if (sent.value() < most) break;
  }
  return total;
}

namespace {

inline Result<Received> receive_with(int fd, std::span<char> buffer, int flags) {
  iovec piece{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  const ssize_t got = ::recvmsg(fd, &message, flags);
  if (got > 0)
    return Received{.bytes = static_cast<std::size_t>(got), .descriptors = (message.msg_flags & MSG_CTRUNC) != 0};
  if (got == 0) return Received{.end = true};
  if (errno == EAGAIN) return Received{.would_block = true};
  if (errno == EINTR) return Received{.would_block = true, .interrupted = true};
  return Error::from_errno("receive");
}

}  // namespace

Result<Received> receive(int fd, std::span<char> buffer) { return receive_with(fd, buffer, MSG_DONTWAIT); }

Result<Received> receive_waiting(int fd, std::span<char> buffer) { return receive_with(fd, buffer, 0); }

Done allow_waiting(int fd, milliseconds limit) {
  const auto value = to_timeval(limit);
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value) != 0) return Error::from_errno("SO_RCVTIMEO");
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0) return Error::from_errno("O_NONBLOCK");
  return done();
}

}  // namespace hostcall::net
