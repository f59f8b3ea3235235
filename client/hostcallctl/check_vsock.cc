// Checks what VMs with a CID need on the host. VMMs with their own Unix sockets (Firecracker, Cloud Hypervisor,
// vhost-device-vsock) need none of it.
#include <cstdio>

#include "client/hostcallctl/checks.h"

namespace hostcall::cli::host {
namespace {

constexpr char kDevice[] = "/dev/vhost-vsock";
// Linux 7.0: whether this network namespace shares its CIDs and sockets with others ("global") or not ("local"), fixed
// when the namespace is created; and the mode of its future children (Documentation/admin-guide/sysctl/net.rst).
constexpr char kNamespaceMode[] = "/proc/sys/net/vsock/ns_mode";
constexpr char kChildMode[] = "/proc/sys/net/vsock/child_ns_mode";

Finding missing(bool needed, const char* check, const std::string& text, const std::string& advice) {
  if (needed) return fail(check, text + ", but VM records have a CID", advice);
  return warn(check, text, advice + "; VMs on Unix sockets do not need it");
}

Finding check_module(const Machine& machine, bool needed) {
  constexpr auto kCheck = "vsock.module";
  if (machine.exists("/sys/module/vhost_vsock")) return ok(kCheck, "vhost_vsock is loaded");
  // A built-in module without parameters has no directory in /sys/module, but its device exists.
  if (machine.exists(kDevice))
    return ok(kCheck, "vhost_vsock is built in, or is loaded when a VMM opens " + std::string(kDevice));
  return missing(needed, kCheck, "vhost_vsock is not loaded",
                 "modprobe vhost_vsock, and list it in /etc/modules-load.d/");
}

std::string octal(unsigned mode) {
  char text[8];
  std::snprintf(text, sizeof text, "%04o", mode & 07777);
  return text;
}

Finding check_device(const Machine& machine, bool needed) {
  constexpr auto kCheck = "vsock.device";
  const auto status = machine.status(kDevice);
  if (!status.ok()) return missing(needed, kCheck, std::string(kDevice) + " does not exist", "modprobe vhost_vsock");
  const auto text =
      std::string(kDevice) + " has mode " + octal(status->st_mode) + ", group " + std::to_string(status->st_gid);
  // World-writable: every local user can start a VM with any free CID and impersonate that guest.
  if ((status->st_mode & S_IWOTH) != 0)
    return warn(kCheck, text + ": every local user can take a free CID, and with it the identity of a VM that is off",
                "chmod 0660 and chgrp kvm, with a udev rule so that it stays");
  if (status->st_gid != 0 && (status->st_mode & S_IWGRP) == 0)
    return warn(kCheck, text + ": only a VMM that runs as root can open it",
                "chmod 0660, unless root or libvirt starts all VMMs");
  return ok(kCheck, text);
}

Finding check_namespace(const Machine& machine) {
  constexpr auto kCheck = "vsock.namespace";
  const auto mode = machine.read(kNamespaceMode);
  if (!mode) return ok(kCheck, "the kernel has no vsock namespaces (Linux 7.0 has them): hostcalld sees all guests");
  if (*mode == "local")
    return warn(kCheck, "ns_mode is local: only guests whose VMM runs in this network namespace reach hostcalld",
                "run hostcalld and the VMMs in one network namespace, or all of them in global ones");
  if (machine.read(kChildMode) == "local")
    return warn(kCheck, "child_ns_mode is local: guests of a VMM in a new network namespace do not reach hostcalld",
                "start VMMs in this namespace, or one hostcalld in each of theirs");
  return ok(kCheck, "ns_mode is " + *mode + ": hostcalld sees the guests of all global namespaces");
}

Finding check_loopback(const Machine& machine) {
  const bool loaded = machine.exists("/sys/module/vsock_loopback");
  return ok("vsock.loopback",
            loaded ? "vsock_loopback is loaded; this host's connections to itself have CID 1 and are refused"
                   : "vsock_loopback is not loaded, and is not needed");
}

}  // namespace

Findings check_vsock(const Machine& machine, bool needed) {
  return {check_module(machine, needed), check_device(machine, needed), check_namespace(machine),
          check_loopback(machine)};
}

}  // namespace hostcall::cli::host
