// A carrier: a pair of sockets (SOCK_SEQPACKET) in which descriptors are in flight. They live as long as its receiving
// end, wherever that is.
//
// Each message is 12 bytes, big-endian: the checksum of the state that the carrier belongs to, how many descriptors
// went before it, and how many it carries. The first messages carry none: they are tokens. Who unloads the carrier
// takes one token out and looks at all else (MSG_PEEK), so that it stays in there for a next attempt. Without a token
// left, attempts have failed too often.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall::daemon {

inline constexpr int kAttempts = 2;

struct Carrier {
  UniqueFd receiving;  // holds the descriptors
  UniqueFd sending;
};
// Puts copies of the descriptors into a new carrier. ETOOMANYREFS: more would be in flight than RLIMIT_NOFILE allows
// this user.
Result<Carrier> load_carrier(std::uint32_t checksum, std::span<const int> descriptors);

// Whether anybody still has the receiving end.
bool is_held(const UniqueFd& sending);

// The descriptors in the carrier, which keeps copies. An error if it is not what load_carrier() has made of this
// checksum and number.
Result<std::vector<UniqueFd>> unload_carrier(int receiving, std::uint32_t checksum, std::size_t descriptors);

}  // namespace hostcall::daemon
