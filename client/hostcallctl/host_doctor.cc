// hostcallctl doctor: finds what keeps VMs from calling this host, and says how to fix it.
#include <algorithm>

#include "client/cli/output.h"
#include "client/hostcallctl/checks.h"
#include "client/hostcallctl/host_verbs.h"

namespace hostcall::cli::host {
namespace {

constexpr char kHelp[] = R"(Checks everything on this host that calls from VMs need: the daemon, its VM
records and its store, systemd's units, the kernel's version against known faults, the
vhost-vsock module and device, the vsock namespace, the socket files, and the services
of services.d with the sockets that they name. Changes nothing. Each line is ok, warn or fail, and tells you how to fix what is not ok.
With -q, leaves out what is ok.

Exits with 0 if nothing failed, else with 1.
)";

constexpr char kExamples[] = R"(  hostcallctl doctor --json | jq '.findings[] | select(.state != "ok")'
)";

// Enough for a busy systemd; leaves the rest of --timeout to the daemon.
constexpr Duration kUnitsTime = seconds(5);

void append(Findings& to, Findings more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

bool any_cid(const std::optional<std::vector<v1::VmState>>& vms) {
  return vms && std::ranges::any_of(*vms, [](const v1::VmState& vm) { return vm.record().cid() != 0; });
}

class HostDoctor : public Verb {
 public:
  ExitCode run(Invocation& invocation) override {
    const Machine machine;
    auto daemon = check_daemon(machine, invocation);
    auto findings = std::move(daemon.findings);
    append(findings, check_units(machine, "systemctl", std::min(invocation.deadline(), Clock::now() + kUnitsTime)));
    append(findings, check_kernel(machine));
    append(findings, check_vsock(machine, any_cid(daemon.vms)));
    append(findings, check_sockets(machine, daemon.vms, daemon.runtime_directory));
    if (daemon.services) append(findings, check_services(machine, *daemon.services));
    print(invocation.json() ? to_json(findings) + "\n" : to_text(findings, invocation.quiet()));
    return exit_code_of(findings);
  }
};

}  // namespace

const VerbEntry kDoctor{"doctor", "find and fix what is wrong on this host", kHelp, kExamples,
                        []() -> std::unique_ptr<Verb> { return std::make_unique<HostDoctor>(); }};

}  // namespace hostcall::cli::host
