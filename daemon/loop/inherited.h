// What systemd passes to the daemon at its start (LISTEN_FDS): the listening sockets of its socket units, and what an
// earlier daemon has stored with it, known by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/base/result.h"
#include "proto/base/unique_fd.h"
#include "proto/net/address.h"

namespace hostcall::daemon {

// The names of what hostcalld stores; see handover/fd_store.h.
inline constexpr std::string_view kStateName = "hostcall-state";
inline constexpr std::string_view kCarrierName = "hostcall-carrier";

struct InheritedSocket {
  UniqueFd fd;
  net::Address address;
};

// One of each, unless something has gone wrong; the reader decides.
struct StoredDescriptors {
  std::vector<UniqueFd> states;
  std::vector<UniqueFd> carriers;
};

struct Inherited {
  std::vector<InheritedSocket> sockets;
  StoredDescriptors stored;
  // For the journal: what was stored under a name that this build does not know, and is closed.
  std::vector<std::string> warnings;
};

// Takes all of it out of the environment, so only the first call finds something. Descriptors are non-blocking (the
// stored ones as they were stored) and close-on-exec. An error if a socket of a socket unit is not a listening AF_VSOCK
// or AF_UNIX stream socket.
Result<Inherited> take_inherited();

}  // namespace hostcall::daemon
