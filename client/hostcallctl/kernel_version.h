// KernelVersion: which upstream release the running kernel is made of, as far as its distribution says.
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

  // Reads the number that the text begins with: "6.1.106-3", "6.12", "6.18.0-rc1". Nothing: it begins with none.
  static std::optional<KernelVersion> parse(std::string_view text);
};

// What is known of the running kernel.
struct RunningKernel {
  std::string release;                    // uname -r
  std::optional<KernelVersion> upstream;  // nothing: a vendor's kernel, whose number says little about its fixes
};
// Nothing: /proc does not tell.
std::optional<RunningKernel> running_kernel(const Machine& machine);

}  // namespace hostcall::cli::host
