// Guest checks: see guest_checks.h.
#include "client/hostcall/guest_checks.h"

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "client/cli/duration.h"
#include "client/cli/text.h"
#include "hostcall/v1/host.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "proto/base/unique_fd.h"

namespace hostcall::cli::guest {
namespace {

constexpr char kVirtioDevices[] = "/sys/bus/virtio/devices";
// VIRTIO_ID_VSOCK of linux/virtio_ids.h, as sysfs writes it.
constexpr char kVirtioVsock[] = "0x0013";
// A smaller offset matters neither in logs that are read side by side nor for the validity of tokens.
constexpr nanoseconds kClockTolerance = std::chrono::seconds(1);

std::int64_t unix_now() {
  return std::chrono::duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Finding check_connection(Invocation& invocation) {
  const auto start = Clock::now();
  const auto status = invocation.try_connect();
  if (!status.ok()) return fail("connection", failure_of(status).text, advice_for_connection(status));
  const auto session = invocation.client().session();
  return ok("connection", "hostcalld " + printable(session ? session->daemon_version : "") + " answers after " +
                              format_ms(Clock::now() - start) + ", connect and Hello");
}

Finding check_identity(Invocation& invocation) {
  const auto caller = invocation.reply_of<v1::Session::WhoAmI>();
  if (!caller.ok())
    return fail("identity", failure_of(of_read(caller.status())).text,
                "allow hostcall.v1.Session/WhoAmI in the host's policy");
  return ok("identity", "the host knows this VM as " + caller->vm_name() + ", by " + caller->evidence());
}

Finding check_host_clock(Invocation& invocation) {
  const auto before = unix_now();
  const auto host = invocation.reply_of<v1::Host::Info>();
  const auto after = unix_now();
  if (host.ok()) return check_clock(host->time_unix_nano(), before, after);
  return warn("clock", "can't be compared with the host's: " + failure_of(of_read(host.status())).text,
              "allow hostcall.v1.Host/Info in the host's policy");
}

}  // namespace

Done try_vsock_socket() {
  const auto fd = UniqueFd::adopt(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return Error::from_errno("no AF_VSOCK socket can be made");
  return done();
}

Finding check_vsock_family(const Done& tried) {
  constexpr auto kCheck = "vsock.family";
  if (tried.ok()) return ok(kCheck, "the kernel has AF_VSOCK");
  return fail(kCheck, tried.error().message(),
              tried.error().code == EAFNOSUPPORT
                  ? "modprobe vmw_vsock_virtio_transport; in a container, let its seccomp profile allow AF_VSOCK"
                  : "check RestrictAddressFamilies= of the unit and the seccomp profile of the container");
}

Finding check_vsock_device(const Machine& machine) {
  constexpr auto kCheck = "vsock.device";
  for (const auto& name : machine.list(kVirtioDevices)) {
    const auto device = std::string(kVirtioDevices) + "/" + name;
    if (machine.read(device + "/device") != kVirtioVsock) continue;
    if (machine.exists(device + "/driver")) return ok(kCheck, name + " is a virtio vsock device with a driver");
    return fail(kCheck, name + " is a virtio vsock device without a driver",
                "modprobe vmw_vsock_virtio_transport, and add it to the guest's initramfs or modules-load.d");
  }
  return fail(kCheck, "this machine has no virtio vsock device",
              "give the VM one on the host: QEMU -device vhost-vsock-pci,guest-cid=N; libvirt <vsock model='virtio'>; "
              "Firecracker PUT /vsock; Cloud Hypervisor --vsock");
}

Finding check_address(const net::Address& address) {
  constexpr auto kCheck = "address";
  const auto text = address.to_string();
  if (address.family == net::Address::Family::kUnix)
    return ok(kCheck, text + ": a Unix socket, to a daemon on the same machine");
  if (address.cid == net::kCidHost)
    return ok(kCheck, text + ": the host of this VM, port " + std::to_string(address.port));
  if (address.cid == net::kCidLocal)
    return warn(kCheck, text + ": CID 1 is this machine itself, which hostcalld refuses as a guest",
                "use vsock:2:" + std::to_string(address.port));
  return warn(kCheck, text + ": not the host, whose CID is 2, unless VMs are nested or siblings",
              "check --address and $HOSTCALL_ADDRESS");
}

Finding check_clock(std::int64_t host, std::int64_t before, std::int64_t after) {
  constexpr auto kCheck = "clock";
  const nanoseconds offset(host - (before + (after - before) / 2));
  const auto size = nanoseconds(std::abs(offset.count()));
  const auto text =
      "this clock is " + format_duration(size) + (offset.count() > 0 ? " behind" : " ahead of") + " the host's";
  if (size <= kClockTolerance + nanoseconds(after - before)) return ok(kCheck, text);
  return warn(
      kCheck, text,
      "run chrony in the guest with \"refclock PHC /dev/ptp0\" (modprobe ptp_kvm), or any NTP client; after a snapshot "
      "is restored, set the clock again");
}

std::string advice_for_connection(const Status& status) {
  const std::string hello = v1::Session::Hello::kFullName;
  if (status.code == Code::kResourceExhausted)
    return "end what uses up the limit, or on the host raise it: in this VM's record (\"limits\"), or in "
           "hostcalld.json";
  if (exit_code_of(status.code) != ExitCode::kDenied)
    return "on the host: hostcallctl doctor; systemctl status hostcalld.socket hostcalld.service";
  if (status.message.find(hello) != std::string::npos) return "allow " + hello + " in the host's policy";
  return "on the host, do what the text says; hostcalld's journal has this peer's address";
}

Findings examine_guest(Invocation& invocation, const Machine& machine) {
  const auto address = net::Address::parse_peer(invocation.common().address);
  if (!address.ok()) return {fail("address", address.error().message(), "check --address and $HOSTCALL_ADDRESS")};
  Findings findings{check_address(address.value())};
  if (address.value().family == net::Address::Family::kVsock) {
    findings.push_back(check_vsock_family(try_vsock_socket()));
    findings.push_back(check_vsock_device(machine));
  }
  findings.push_back(check_connection(invocation));
  if (findings.back().state == Finding::State::kFail) return findings;
  findings.push_back(check_identity(invocation));
  findings.push_back(check_host_clock(invocation));
  return findings;
}

}  // namespace hostcall::cli::guest
