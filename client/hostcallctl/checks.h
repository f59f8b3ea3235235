// The checks of `hostcallctl doctor` on the host, one file per group. They read a Machine, so that tests can pass a
// tree of files, and change nothing.
#pragma once

#include <string>
#include <vector>

#include "client/cli/finding.h"
#include "client/cli/invocation.h"
#include "client/cli/machine.h"
#include "hostcall/v1/admin.pb.h"

namespace hostcall::cli::host {

// check_kernel.cc: known faults in the running kernel's vsock.
Findings check_kernel(const Machine& machine);

// check_vsock.cc: what VMs with a CID need: module, device, namespace mode. `needed`: a VM record has a CID, so that a
// missing part is a failure and not a warning.
Findings check_vsock(const Machine& machine, bool needed);

// check_units.cc: hostcalld's systemd units. `systemctl` is the program to ask.
Findings check_units(const Machine& machine, const std::string& systemctl, TimePoint deadline);

// check_daemon.cc: whether hostcalld answers, its version and its store. `vms`: its records, and `services`; nothing if
// it does not answer.
struct DaemonAnswer {
  Findings findings;
  std::optional<std::vector<v1::VmState>> vms;
  std::optional<std::vector<v1::ServiceState>> services;
  std::string runtime_directory = "/run/hostcall";  // of the daemon
};
DaemonAnswer check_daemon(const Machine& machine, Invocation& invocation);
// What a failed call says of the daemon.
Finding no_answer(const Machine& machine, const Failure& failure);
// Whether the daemon's store takes writes.
Finding check_store(const Machine& machine, const v1::StoreCondition& store);

// check_sockets.cc: the Unix listeners of the VMs, and stale socket files below hostcalld's runtime directory.
Findings check_sockets(const Machine& machine, const std::optional<std::vector<v1::VmState>>& vms,
                       const std::string& runtime_directory);

// check_services.cc: the services of services.d, and the sockets that they name.
Findings check_services(const Machine& machine, const std::vector<v1::ServiceState>& services);

}  // namespace hostcall::cli::host
