// KernelVersion: the upstream release of the running kernel, if its distribution shows it.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "client/cli/machine.h"

namespace hostcall::cli::host {

struct KernelVersion {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned patch = 0;
  auto operator<=>(const KernelVersion&) const = default;
  std::string to_string() const;

  // Reads the version at the start of the text: "6.1.106-3", "6.12", "6.18.0-rc1". Nothing: there is none.
  static std::optional<KernelVersion> parse(std::string_view text);
};

// What /proc shows of the running kernel.
struct RunningKernel {
  std::string release;                    // uname -r
  std::optional<KernelVersion> upstream;  // nothing: a vendor's kernel, whose version does not show its fixes
};
// Nothing: /proc can't be read.
std::optional<RunningKernel> running_kernel(const Machine& machine);

}  // namespace hostcall::cli::host
