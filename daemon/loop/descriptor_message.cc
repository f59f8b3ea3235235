#include "daemon/loop/descriptor_message.h"

#include <cstring>

namespace hostcall::daemon {
namespace {

void take_from(const cmsghdr& header, std::vector<UniqueFd>& descriptors) {
  if (header.cmsg_level != SOL_SOCKET || header.cmsg_type != SCM_RIGHTS) return;
  const auto count = (header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (std::size_t i = 0; i < count; ++i) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(&header) + i * sizeof fd, sizeof fd);
    descriptors.push_back(UniqueFd::adopt(fd));
  }
}

}  // namespace

void put_descriptors(std::span<const int> descriptors, std::span<char> room, msghdr& message) {
  if (descriptors.empty()) return;
  message.msg_control = room.data();
  message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
  auto* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
  std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
}

std::vector<UniqueFd> take_descriptors(msghdr& message) {
  std::vector<UniqueFd> descriptors;
  for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header))
    take_from(*header, descriptors);
  return descriptors;
}

}  // namespace hostcall::daemon
