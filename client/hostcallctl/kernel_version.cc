// KernelVersion: see kernel_version.h.
#include "client/hostcallctl/kernel_version.h"

#include <charconv>

namespace hostcall::cli::host {
namespace {

// The version after a marker: 6.1.106 in "… Debian 6.1.106-3 (2024-08-26)".
std::optional<KernelVersion> version_after(std::string_view text, std::string_view marker) {
  const auto at = text.rfind(marker);
  return at == std::string_view::npos ? std::nullopt : KernelVersion::parse(text.substr(at + marker.size()));
}

// Red Hat and its rebuilds, SUSE, Amazon and Oracle keep an old version and backport fixes.
bool is_vendor_kernel(std::string_view release) {
  for (const auto* mark : {".el7", ".el8", ".el9", ".el10", ".amzn", "-default", ".uek"})
    if (release.find(mark) != std::string_view::npos) return true;
  return false;
}

std::optional<KernelVersion> upstream_of(const Machine& machine, const std::string& release) {
  // Debian's release names the ABI ("6.1.0-25-amd64"); its version string has the upstream release.
  if (const auto build = machine.read("/proc/sys/kernel/version"))
    if (const auto debian = version_after(*build, "Debian ")) return debian;
  // Ubuntu: "Ubuntu 5.15.0-91.101-generic 5.15.131"; the last word is the upstream release.
  if (const auto signature = machine.read("/proc/version_signature")) return version_after(*signature, " ");
  return is_vendor_kernel(release) ? std::nullopt : KernelVersion::parse(release);
}

}  // namespace

std::string KernelVersion::to_string() const {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

std::optional<KernelVersion> KernelVersion::parse(std::string_view text) {
  KernelVersion version;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (auto* part : {&version.major, &version.minor, &version.patch}) {
    const auto [stop, error] = std::from_chars(at, end, *part);
    if (error != std::errc{}) return std::nullopt;
    at = stop;
    if (at == end || *at != '.') break;
    ++at;
  }
  return version.major == 0 ? std::nullopt : std::optional(version);
}

std::optional<RunningKernel> running_kernel(const Machine& machine) {
  const auto release = machine.read("/proc/sys/kernel/osrelease");
  if (!release) return std::nullopt;
  return RunningKernel{*release, upstream_of(machine, *release)};
}

}  // namespace hostcall::cli::host
