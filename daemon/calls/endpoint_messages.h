// An endpoint's state as a message of the handover, and back.
#pragma once

#include "handover/state.pb.h"
#include "proto/wire/endpoint_state.h"

namespace hostcall::daemon {

void fill(const wire::EndpointState& state, handover::Endpoint& message);
wire::EndpointState state_of(const handover::Endpoint& message);

}  // namespace hostcall::daemon
