// Converts services of services.d, and the calls that use them, to messages, for Admin.
#pragma once

#include "daemon/config/service_file.h"
#include "daemon/services/host_calls.h"
#include "hostcall/v1/admin.pb.h"

namespace hostcall::daemon {

// `calls`: that use it now.
void fill_service(const ServiceRecord& service, std::uint32_t calls, v1::ServiceState& state);
void fill_disabled(const Services::Disabled& disabled, v1::ServiceState& state);
// All that its entry says, besides the state.
void fill_details(const ServiceRecord& service, v1::ServiceShowResponse& response);
void fill_run(std::uint64_t number, const HostCallInfo& call, TimePoint now, v1::RunState& state);

}  // namespace hostcall::daemon
