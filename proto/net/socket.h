// Stream sockets of both families: listen, accept, connect, send, receive. The only
// code that knows sockaddr_vm and sockaddr_un, and what kernels do with them.
// All descriptors are non-blocking, close-on-exec and above 2.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "proto/base/clock.h"
#include "proto/base/result.h"
#include "proto/base/unique_fd.h"
#include "proto/net/address.h"

namespace hostcall::net {

// No send on vsock is larger: some VMMs corrupt or drop guest sends above it.
inline constexpr std::size_t kMaxSendBytes = 32 * 1024;
// A Unix socket takes what fits into it; more than this is another turn's work.
inline constexpr std::size_t kMaxUnixSendBytes = 256 * 1024;
constexpr std::size_t max_send_bytes(Address::Family family) {
  return family == Address::Family::kVsock ? kMaxSendBytes : kMaxUnixSendBytes;
}
// A hybrid VMM connects on its event thread: a full backlog would stall the VM.
inline constexpr int kBacklog = 4096;

// Who is at the other end, as the kernel attests it.
struct Peer {
  Address::Family family = Address::Family::kUnix;
  std::uint32_t local_cid = 0;  // kVsock: the CID that the peer dialled (getsockname)
  std::uint32_t cid = 0;        // kVsock: the peer's CID
  std::uint32_t port = 0;       // kVsock: the peer's port
  uid_t uid = 0;                // kUnix: SO_PEERCRED; meaningless on vsock
  gid_t gid = 0;                // kUnix
  pid_t pid = 0;                // kUnix
};

// Binds and listens. A stale Unix socket file is removed first, but only after proof
// that it is a socket which refuses connections; the new file gets `mode`.
Result<UniqueFd> listen(const Address& address, mode_t mode = 0600);

// The address that an inherited or own listening socket is bound to.
// Refuses a socket that is not a listening AF_VSOCK or AF_UNIX stream socket.
Result<Address> listening_address(int fd);

// Accepts one connection. Error code EAGAIN: none is waiting.
Result<UniqueFd> accept(int listener);

// Reads the peer's identity of an accepted socket.
Result<Peer> peer_of(int fd);

// The supplementary groups of a Unix peer (SO_PEERGROUPS).
Result<std::vector<gid_t>> peer_groups(int fd);

// The vsock source port of a connection.
struct SourcePort {
  std::uint32_t first = 0;  // 0: the kernel chooses, never a privileged one
  bool search = false;      // if `first` is taken, any free one from kFirstPrivilegedSource to kPrivilegedPorts - 1

  static SourcePort fixed(std::uint32_t port) { return {port, false}; }
  // A free privileged port. The search begins at a place that `random` chooses.
  static SourcePort privileged(std::uint32_t random);
};

// Binds a vsock socket and returns the port. Errors: EADDRINUSE; EACCES for a privileged port without
// CAP_NET_BIND_SERVICE.
Result<std::uint32_t> bind_source(int fd, const SourcePort& source);

// Lets a Unix socket take a stream window of messages at once; otherwise both sides wake in the middle of it. Memory is
// used only while the peer does not read, at most kStreamRoomBytes, or the machine's default if that is more. Best
// effort; this much is what net.core.wmem_max allows where nobody has changed it.
inline constexpr int kStreamRoomBytes = 416 * 1024;
void make_room_for_streams(int fd);

// Starts to connect on a fresh socket. The connection stands, or has failed, once the
// descriptor is writable; finish_connect() then tells which. On vsock, `timeout` bounds
// the connect in the kernel, and `source` is bound first.
Result<UniqueFd> start_connect(const Address& address, milliseconds timeout, const SourcePort& source = {});
Done finish_connect(int fd, const Address& address);

// Whether a connect that failed with this errno may succeed on a later attempt
// although nothing is changed by hand.
bool is_retriable_connect_error(int code);

// Sends at most `most` bytes of the pieces; never waits, and never raises SIGPIPE. Returns the bytes taken; 0: the
// socket is full.
Result<std::size_t> send(int fd, std::span<const iovec> pieces, std::size_t most = kMaxSendBytes);

// Sends up to 64 pieces, at most `most` bytes with each system call, until all are gone or the socket is full. Returns
// the bytes taken. May change the list, not the bytes. An error after some bytes were taken comes with the next send.
Result<std::size_t> send_all(int fd, std::span<iovec> pieces, std::size_t most = kMaxSendBytes);

// Outcome of one receive.
struct Received {
  std::size_t bytes = 0;
  bool would_block = false;
  bool interrupted = false;  // with would_block, of receive_waiting(): a signal has come
  bool end = false;          // orderly EOF, or a vsock reset, which looks the same
};
Result<Received> receive(int fd, std::span<char> buffer);

// Makes receive_waiting() wait for this long at most, on a connected socket. Everything else here never waits.
Done allow_waiting(int fd, milliseconds limit);
// Waits for bytes, the peer's end, or the limit of allow_waiting(): one system call where poll() and receive() are two.
// `would_block`: the limit has passed, or `interrupted`.
Result<Received> receive_waiting(int fd, std::span<char> buffer);

}  // namespace hostcall::net
