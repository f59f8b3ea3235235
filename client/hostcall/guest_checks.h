// The checks of `hostcall doctor`, inside the guest and over the connection. Each returns one finding.
#pragma once

#include "client/cli/finding.h"
#include "client/cli/invocation.h"
#include "client/cli/machine.h"
#include "hostcall/v1/host.pb.h"
#include "proto/base/result.h"
#include "proto/net/address.h"

namespace hostcall::cli::guest {

// Creates an AF_VSOCK socket and drops it.
Done try_vsock_socket();
// Whether the kernel creates them, by the result of the attempt.
Finding check_vsock_family(const Done& tried);
// Whether this machine has a virtio vsock device and a driver for it.
Finding check_vsock_device(const Machine& machine);
// Whether the address can be the host's, as far as this side can tell.
Finding check_address(const net::Address& address);
// What to do if the connection fails so.
std::string advice_for_connection(const Status& status);
// Whether the guest's clock agrees with the host's, which was read between `before` and `after`; nanoseconds since
// 1970.
Finding check_clock(std::int64_t host, std::int64_t before, std::int64_t after);

// Runs all checks in the order in which things depend on each other.
Findings examine_guest(Invocation& invocation, const Machine& machine);

}  // namespace hostcall::cli::guest
