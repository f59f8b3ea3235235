// What `hostcallctl doctor` looks at on the host, in groups of one file each. The checks read a Machine, so that tests
// give them a tree of files; nothing here changes anything.
#pragma once

#include <string>
#include <vector>

#include "client/cli/finding.h"
#include "client/cli/invocation.h"
#include "client/cli/machine.h"
#include "hostcall/v1/admin.pb.h"

namespace hostcall::cli::host {

// check_kernel.cc: known faults of the running kernel's vsock.
Findings check_kernel(const Machine& machine);

// check_vsock.cc: the way of VMs with a CID: module, device, namespace mode. `needed`: some VM record has a CID, so
// that what is missing is a failure and not a choice.
Findings check_vsock(const Machine& machine, bool needed);

// check_units.cc: hostcalld's units under systemd. `systemctl` is the program to ask.
Findings check_units(const Machine& machine, const std::string& systemctl, TimePoint deadline);

// check_daemon.cc: whether hostcalld answers, and as which version. The VMs are its records, nothing if it does not
// answer.
struct DaemonAnswer {
  Findings findings;
  std::optional<std::vector<v1::VmState>> vms;
};
DaemonAnswer check_daemon(Invocation& invocation);

// check_sockets.cc: the Unix listeners of the VMs, and socket files that nobody listens on.
Findings check_sockets(const Machine& machine, const std::optional<std::vector<v1::VmState>>& vms);

}  // namespace hostcall::cli::host
