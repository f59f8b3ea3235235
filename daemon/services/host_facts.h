// What /proc and /etc say about the host. Each function parses the text of one file, so that tests can feed it with
// texts of other kernels; a field that a kernel does not have stays zero.
#pragma once

#include <string>
#include <string_view>

#include "hostcall/v1/host.pb.h"

namespace hostcall::daemon {

// /etc/os-release: PRETTY_NAME without its quotes; "Linux" where there is none.
std::string pretty_name(std::string_view os_release);
// /proc/meminfo. kB there, bytes here.
void parse_meminfo(std::string_view text, v1::MetricsResponse& metrics);
// /proc/loadavg.
void parse_loadavg(std::string_view text, v1::MetricsResponse& metrics);
// The "cpu" line of /proc/stat; `ticks` per second.
void parse_stat(std::string_view text, double ticks, v1::MetricsResponse& metrics);
// pgpgin and pgpgout of /proc/vmstat. KiB there, bytes here.
void parse_vmstat(std::string_view text, v1::MetricsResponse& metrics);

}  // namespace hostcall::daemon
