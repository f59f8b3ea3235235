// Packets between hostcalld and hostcall-runner: a SOCK_SEQPACKET socket keeps their bounds, and carries descriptors
// beside the bytes. Nothing here waits.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon {

inline constexpr std::size_t kMaxPacketBytes = 128 * 1024;
// Standard input, output and error.
inline constexpr std::size_t kMaxPacketDescriptors = 3;

struct Packet {
  std::string bytes;
  std::vector<UniqueFd> descriptors;
};

// A pair of connected sockets, non-blocking and close-on-exec.
Result<std::pair<UniqueFd, UniqueFd>> packet_socket_pair();

// Makes room for a few packets of the largest size. Best effort.
void make_room_for_packets(int fd);

// False: there is no room now. EMSGSIZE: the packet is larger than kMaxPacketBytes or the socket's buffer.
Result<bool> send_packet(int fd, const Packet& packet);

struct ReceivedPacket {
  std::string_view bytes;  // in the buffer
  std::vector<UniqueFd> descriptors;
  bool is_end = false;  // the peer has closed, or sent an empty packet, which looks the same
};
// Nothing: no packet is waiting. The buffer holds more than kMaxPacketBytes. An error of ours: the packet is larger, or
// has more descriptors than kMaxPacketDescriptors. The descriptors are close-on-exec and above 2.
Result<std::optional<ReceivedPacket>> receive_packet(int fd, std::span<char> buffer);

}  // namespace hostcall::daemon
