#include "daemon/runner/packet.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include "daemon/loop/descriptor_message.h"

namespace hostcall::daemon {
namespace {

// One more, so that too many are noticed here: those without room would be dropped by the kernel.
using Room = DescriptorRoom<kMaxPacketDescriptors + 1>;

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> packet_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return Error::from_errno("socketpair");
  auto pair = std::pair(UniqueFd::adopt(ends[0]), UniqueFd::adopt(ends[1]));
  make_room_for_packets(pair.first.get());
  make_room_for_packets(pair.second.get());
  return pair;
}

void make_room_for_packets(int fd) {
  constexpr int kRoom = 192 * 1024;  // the kernel doubles it for its overhead
  (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kRoom, sizeof kRoom);
}

Result<bool> send_packet(int fd, const Packet& packet) {
  if (packet.bytes.size() > kMaxPacketBytes || packet.descriptors.size() > kMaxPacketDescriptors)
    return Error{EMSGSIZE, "send a packet"};
  iovec piece{const_cast<char*>(packet.bytes.data()), packet.bytes.size()};
  std::vector<int> descriptors;
  for (const auto& descriptor : packet.descriptors) descriptors.push_back(descriptor.get());
  Room room;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  put_descriptors(descriptors, room.bytes, message);
  for (;;) {
    if (::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno == EAGAIN) return false;
    if (errno != EINTR) return Error::from_errno("send a packet");
  }
}

Result<std::optional<ReceivedPacket>> receive_packet(int fd, std::span<char> buffer) {
  iovec piece{buffer.data(), buffer.size()};
  Room room;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = room.bytes.data();
  message.msg_controllen = room.bytes.size();
  ssize_t got = 0;
  while ((got = ::recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == EAGAIN) return std::optional<ReceivedPacket>();
    if (errno != EINTR) return Error::from_errno("receive a packet");
  }
  ReceivedPacket packet{.bytes = {buffer.data(), static_cast<std::size_t>(got)},
                        .descriptors = take_descriptors(message),
                        .is_end = got == 0};
  if ((message.msg_flags & MSG_TRUNC) != 0 || packet.bytes.size() > kMaxPacketBytes)
    return Error{0, "a packet has more than 131,072 bytes"};
  if ((message.msg_flags & MSG_CTRUNC) != 0 || packet.descriptors.size() > kMaxPacketDescriptors)
    return Error{0, "a packet has more than 3 descriptors"};
  return std::optional(std::move(packet));
}

}  // namespace hostcall::daemon
