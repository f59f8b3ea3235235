// Stream sockets of both families: listen, accept, connect, send, receive. The only code that knows sockaddr_vm,
// sockaddr_un and what kernels do with them. All descriptors are non-blocking, close-on-exec and above 2.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proto/base/clock.h"
#include "proto/base/result.h"
#include "proto/base/unique_fd.h"
#include "proto/net/address.h"

namespace hostcall::net {

// The most bytes of one send on vsock: some VMMs corrupt or drop larger sends of a guest.
inline constexpr std::size_t kMaxSendBytes = 32 * 1024;
// The most bytes of one send on a Unix socket; the rest waits for the next turn.
inline constexpr std::size_t kMaxUnixSendBytes = 256 * 1024;
constexpr std::size_t max_send_bytes(Address::Family family) {
  return family == Address::Family::kVsock ? kMaxSendBytes : kMaxUnixSendBytes;
}
// Large, because a hybrid VMM connects on its event thread and a full backlog would stall the VM.
inline constexpr int kBacklog = 4096;

// The peer's identity, attested by the kernel.
struct Peer {
  Address::Family family = Address::Family::kUnix;
  std::uint32_t local_cid = 0;  // kVsock: the CID that the peer connected to (getsockname)
  std::uint32_t cid = 0;        // kVsock: the peer's CID
  std::uint32_t port = 0;       // kVsock: the peer's port
  uid_t uid = 0;                // kUnix: SO_PEERCRED; meaningless on vsock
  gid_t gid = 0;                // kUnix
  pid_t pid = 0;                // kUnix
};

// Which file a Unix socket has. Nothing: no file, or one that is no socket.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileId&) const = default;
};
std::optional<FileId> socket_file(const Address& address);

// From now on, the kernel refuses file descriptors that a peer of this Unix listener wants to pass. Without effect
// before Linux 6.16, where Received says that some came.
void refuse_descriptors(int listener);

// Binds and listens. First removes a stale Unix socket file, but only a socket that this user has made and that refuses
// connections. The new file gets `mode`.
Result<UniqueFd> listen(const Address& address, mode_t mode = 0600);

// The address that a listening socket is bound to, inherited or not. Error: it is not a listening AF_VSOCK or AF_UNIX
// stream socket.
Result<Address> listening_address(int fd);

// Accepts one connection. Error code EAGAIN: none is waiting.
Result<UniqueFd> accept(int listener);

// Reads the identity of an accepted socket's peer.
Result<Peer> peer_of(int fd);

// The supplementary groups of a Unix peer (SO_PEERGROUPS).
Result<std::vector<gid_t>> peer_groups(int fd);

// Which vsock source port a connection gets.
struct SourcePort {
  std::uint32_t first = 0;  // 0: the kernel chooses one, never a privileged one
  bool search = false;      // if `first` is taken, use any free one from kFirstPrivilegedSource to kPrivilegedPorts - 1

  static SourcePort fixed(std::uint32_t port) { return {port, false}; }
  // Any free privileged port; `random` picks where the search starts.
  static SourcePort privileged(std::uint32_t random);
};

// Binds a vsock socket to a source port and returns the port. Errors: EADDRINUSE; EACCES for a privileged port without
// CAP_NET_BIND_SERVICE.
Result<std::uint32_t> bind_source(int fd, const SourcePort& source);

// Grows a Unix socket's send buffer to a whole stream window; with less, both sides wake up in the middle of a window.
// Uses memory only while the peer does not read: at most kStreamRoomBytes, or the machine's default if that is more.
// Best effort: the default of net.core.wmem_max allows this size.
inline constexpr int kStreamRoomBytes = 416 * 1024;
void make_room_for_streams(int fd);

// Starts to connect a new socket. Once the descriptor is writable, finish_connect() returns the outcome. On vsock,
// binds `source` first, and `timeout` bounds the connect in the kernel.
Result<UniqueFd> start_connect(const Address& address, milliseconds timeout, const SourcePort& source = {});
Done finish_connect(int fd, const Address& address);

// Connects to a Unix socket of packets (SOCK_SEQPACKET) at once, or not at all; EAGAIN: its backlog is full.
Result<UniqueFd> connect_packets(const Address& address);
// The same for a Unix socket of datagrams, which has no backlog.
Result<UniqueFd> connect_datagrams(const Address& address);

// Whether a connect that failed with this errno may succeed later without anyone's help.
bool is_retriable_connect_error(int code);

// Sends at most `most` bytes of the pieces. Never waits, never raises SIGPIPE. Returns the bytes sent; 0: the socket is
// full.
Result<std::size_t> send(int fd, std::span<const iovec> pieces, std::size_t most = kMaxSendBytes);

// Sends up to 64 pieces, at most `most` bytes per system call, until all are sent or the socket is full. Returns the
// bytes sent. May change the list, not the bytes. An error after some bytes shows up in the next send.
Result<std::size_t> send_all(int fd, std::span<iovec> pieces, std::size_t most = kMaxSendBytes);

// Outcome of one receive.
struct Received {
  std::size_t bytes = 0;
  bool would_block = false;
  bool interrupted = false;  // with would_block, from receive_waiting(): a signal came
  bool end = false;          // orderly EOF, or a vsock reset, which looks the same
  bool descriptors = false;  // the peer has passed file descriptors, too; they are closed
};
Result<Received> receive(int fd, std::span<char> buffer);

// Sets how long receive_waiting() waits at most, on a connected socket. No other function here waits.
Done allow_waiting(int fd, milliseconds limit);
// Waits for bytes, the end, or the limit of allow_waiting(), in one system call instead of poll() and receive().
// `would_block`: the limit has passed, or `interrupted`.
Result<Received> receive_waiting(int fd, std::span<char> buffer);

}  // namespace hostcall::net
