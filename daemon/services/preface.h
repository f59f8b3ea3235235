// What a socket service is told of the caller, before the caller's bytes.
#pragma once

#include <string>

#include "daemon/config/service_record.h"
#include "daemon/vms/caller.h"

namespace hostcall::daemon {

// Type-length-values of the PROXY protocol, from the range for custom use.
inline constexpr unsigned char kTlvVmName = 0xE0;
inline constexpr unsigned char kTlvVmUuid = 0xE1;

// Empty for Preface::kNone. kQrexec: "SERVICE VM" and a NUL. kProxyV2: a header of the PROXY protocol, version 2, with
// command PROXY, an unspecified address family, and the VM's name and UUID as TLVs.
std::string preface_of(const ServiceRecord& service, const Caller& caller);

}  // namespace hostcall::daemon
