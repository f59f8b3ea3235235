// Checks the kernel's upstream version against vsock faults that a guest or a local user can exploit.
#include <algorithm>
#include <array>
#include <span>

#include "client/hostcallctl/checks.h"
#include "client/hostcallctl/kernel_version.h"

namespace hostcall::cli::host {
namespace {

constexpr char kCheck[] = "kernel";

struct KnownFault {
  const char* id;
  const char* what;
  KernelVersion since;                      // the first release with the fault
  std::span<const KernelVersion> fixed_in;  // the first fixed release of each stable branch; mainline's last
};

// Versions from the CVE records of the kernel's numbering authority (CVE-2024-50264, CVE-2025-21756); for
// CVE-2021-26708 from MITRE's record, ChangeLog-5.10.13 and mainline commit c518adafa39f.
constexpr std::array kFix2021_26708{KernelVersion{5, 10, 13}, KernelVersion{5, 11, 0}};
constexpr std::array kFix2024_50264{KernelVersion{4, 19, 324}, KernelVersion{5, 4, 286}, KernelVersion{5, 10, 230},
                                    KernelVersion{5, 15, 172}, KernelVersion{6, 1, 117}, KernelVersion{6, 6, 61},
                                    KernelVersion{6, 11, 8},   KernelVersion{6, 12, 0}};
constexpr std::array kFix2025_21756{KernelVersion{5, 10, 235}, KernelVersion{5, 15, 179}, KernelVersion{6, 1, 131},
                                    KernelVersion{6, 6, 79},   KernelVersion{6, 12, 16},  KernelVersion{6, 13, 4},
                                    KernelVersion{6, 14, 0}};
constexpr std::array kKnownFaults{
    KnownFault{"CVE-2021-26708", "races in AF_VSOCK give a local user root", {5, 5, 0}, kFix2021_26708},
    KnownFault{"CVE-2024-50264", "use after free in the virtio vsock transport", {4, 8, 0}, kFix2024_50264},
    KnownFault{
        "CVE-2025-21756", "use after free of vsock sockets that change their transport", {5, 5, 0}, kFix2025_21756},
};

bool has_fault(const KernelVersion& kernel, const KnownFault& fault) {
  if (kernel < fault.since || kernel >= fault.fixed_in.back()) return false;
  return std::ranges::none_of(fault.fixed_in, [&](const KernelVersion& fix) {
    return kernel.major == fix.major && kernel.minor == fix.minor && kernel.patch >= fix.patch;
  });
}

Finding report(const KnownFault& fault, const RunningKernel& kernel) {
  return warn(
      std::string(kCheck) + "." + fault.id,
      std::string(fault.id) + ", " + fault.what + ": by its number, kernel " + kernel.upstream->to_string() + " (" +
          kernel.release + ") has it",
      "update the kernel and reboot. Distributions backport fixes into older kernels: check the changelog or the "
      "security tracker");
}

}  // namespace

Findings check_kernel(const Machine& machine) {
  const auto kernel = running_kernel(machine);
  if (!kernel)
    return {
        warn(kCheck, "/proc/sys/kernel/osrelease can't be read, so the kernel's version is unknown", "mount /proc")};
  if (!kernel->upstream)
    return {ok(kCheck, kernel->release +
                           " is a vendor's kernel, whose version does not show its fixes; check the vendor's "
                           "security tracker for CVE-2024-50264 and CVE-2025-21756")};
  Findings findings;
  for (const auto& fault : kKnownFaults)
    if (has_fault(*kernel->upstream, fault)) findings.push_back(report(fault, *kernel));
  if (findings.empty()) findings.push_back(ok(kCheck, kernel->release + " has none of the vsock faults known here"));
  return findings;
}

}  // namespace hostcall::cli::host
