// Descriptors beside the bytes of a message on a Unix socket (SCM_RIGHTS).
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "proto/base/unique_fd.h"

namespace hostcall::daemon {

// The kernel's limit for one message (SCM_MAX_FD).
inline constexpr std::size_t kMaxMessageDescriptors = 253;

// Where the kernel reads or writes them.
template <std::size_t kMost>
struct DescriptorRoom {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMost * sizeof(int))> bytes{};
};

// Adds the descriptors to a message that is to be sent. The room must hold them, and live until then.
void put_descriptors(std::span<const int> descriptors, std::span<char> room, msghdr& message);

// Takes over the descriptors of a message that was received.
std::vector<UniqueFd> take_descriptors(msghdr& message);

}  // namespace hostcall::daemon
