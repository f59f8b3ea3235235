#include "daemon/runner/packet.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>

namespace hostcall::daemon {
namespace {

// One more, so that too many are noticed here: those without room would be dropped by the kernel.
constexpr std::size_t kControlBytes = CMSG_SPACE((kMaxPacketDescriptors + 1) * sizeof(int));

struct Control {
  alignas(cmsghdr) std::array<char, kControlBytes> bytes{};
};

void put_descriptors(const std::vector<UniqueFd>& descriptors, Control& control, msghdr& message) {
  if (descriptors.empty()) return;
  message.msg_control = control.bytes.data();
  message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
  auto* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
  auto* at = CMSG_DATA(header);
  for (const auto& descriptor : descriptors) {
    const int fd = descriptor.get();
    std::memcpy(at, &fd, sizeof fd);
    at += sizeof fd;
  }
}

void take_descriptors(const cmsghdr& header, std::vector<UniqueFd>& descriptors) {
  if (header.cmsg_level != SOL_SOCKET || header.cmsg_type != SCM_RIGHTS) return;
  const auto count = (header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (std::size_t i = 0; i < count; ++i) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(&header) + i * sizeof fd, sizeof fd);
    descriptors.push_back(UniqueFd::adopt(fd));
  }
}

std::vector<UniqueFd> descriptors_of(msghdr& message) {
  std::vector<UniqueFd> descriptors;
  for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header))
    take_descriptors(*header, descriptors);
  return descriptors;
}

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
  Control control;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  put_descriptors(packet.descriptors, control, message);
  for (;;) {
    if (::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno == EAGAIN) return false;
    if (errno != EINTR) return Error::from_errno("send a packet");
  }
}

Result<std::optional<ReceivedPacket>> receive_packet(int fd, std::span<char> buffer) {
  iovec piece{buffer.data(), buffer.size()};
  Control control;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t got = 0;
  while ((got = ::recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == EAGAIN) return std::optional<ReceivedPacket>();
    if (errno != EINTR) return Error::from_errno("receive a packet");
  }
  ReceivedPacket packet{.bytes = {buffer.data(), static_cast<std::size_t>(got)},
                        .descriptors = descriptors_of(message),
                        .is_end = got == 0};
  if ((message.msg_flags & MSG_TRUNC) != 0 || packet.bytes.size() > kMaxPacketBytes)
    return Error{0, "a packet has more than 131,072 bytes"};
  if ((message.msg_flags & MSG_CTRUNC) != 0 || packet.descriptors.size() > kMaxPacketDescriptors)
    return Error{0, "a packet has more than 3 descriptors"};
  return std::optional(std::move(packet));
}

}  // namespace hostcall::daemon
