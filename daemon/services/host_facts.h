// Facts about the host from /proc. Each function parses the text of one file, so that tests can pass texts
// from other kernels. Fields that a kernel lacks stay zero.
#pragma once

#include <string_view>

#include "hostcall/v1/host.pb.h"

namespace hostcall::daemon {

// /proc/meminfo. Converts its kB to bytes.
void parse_meminfo(std::string_view text, v1::MetricsResponse& metrics);
// /proc/loadavg.
void parse_loadavg(std::string_view text, v1::MetricsResponse& metrics);
// The "cpu" line of /proc/stat. `ticks`: clock ticks per second.
void parse_stat(std::string_view text, double ticks, v1::MetricsResponse& metrics);
// pgpgin and pgpgout of /proc/vmstat. Converts their KiB to bytes.
void parse_vmstat(std::string_view text, v1::MetricsResponse& metrics);

}  // namespace hostcall::daemon
