// Checks that hostcalld answers on its admin socket, and asks it for its VMs.
#include "client/cli/text.h"
#include "client/hostcallctl/admin_socket.h"
#include "client/hostcallctl/checks.h"
#include "client/hostcallctl/pages.h"
#include "hostcall/v1/admin.hostcall.h"

namespace hostcall::cli::host {
namespace {

constexpr char kCheck[] = "daemon";

std::string how_to_start(const Machine& machine) {
  return machine.has_systemd() ? "systemctl start hostcalld.service; if that fails: journalctl -u hostcalld.service -b"
                               : "start hostcalld, which says what it lacks";
}
std::string how_to_restart(const Machine& machine) {
  return machine.has_systemd() ? "systemctl restart hostcalld.service" : "end hostcalld and start it again";
}

Finding judge_version(const Machine& machine, const std::string& version) {
  const auto text = "hostcalld " + printable(version) + " answers";
  if (version == HOSTCALL_VERSION) return ok(kCheck, text);
  return warn(kCheck, text + ", but this program is version " HOSTCALL_VERSION,
              how_to_restart(machine) + ", if it was updated after it started");
}

Finding judge_vms(const std::vector<v1::VmState>& vms) {
  if (!vms.empty()) return ok("vms", std::to_string(vms.size()) + (vms.size() == 1 ? " VM record" : " VM records"));
  return warn("vms", "no VM is registered, so every guest is refused",
              "register one: hostcallctl vm add, or a file in vms.d");
}

std::string store_advice(const Machine& machine, v1::StoreCondition::State state) {
  switch (state) {
    case v1::StoreCondition::STATE_DISK_FULL: return "make room on the disk of hostcalld's state_directory";
    case v1::StoreCondition::STATE_NO_MEMORY: return "give the host memory";
    case v1::StoreCondition::STATE_READ_ONLY:
      return "look for errors of the disk in the kernel's log, then: " + how_to_restart(machine);
    default: return "see hostcalld's journal";  // a state that a newer hostcalld knows
  }
}

// Some calls, together.
struct Answers {
  std::vector<v1::VmState> vms;
  v1::StatsResponse stats;
  std::vector<v1::ServiceState> services;
};

// Throws Failure.
Answers ask(Invocation& invocation) {
  Answers answers;
  each_page<v1::Admin::VmList>(invocation, {}, [&](const v1::VmListResponse& page, bool) {
    answers.vms.insert(answers.vms.end(), page.vms().begin(), page.vms().end());
  });
  answers.stats = invocation.read<v1::Admin::Stats>();
  each_page<v1::Admin::ServiceList>(invocation, {}, [&](const v1::ServiceListResponse& page, bool) {
    answers.services.insert(answers.services.end(), page.services().begin(), page.services().end());
  });
  return answers;
}

}  // namespace

Finding no_answer(const Machine& machine, const Failure& failure) {
  switch (failure.code) {
    case ExitCode::kDenied: return fail(kCheck, failure.text, "run it as root");
    // Starting what runs does nothing.
    case ExitCode::kDeadline: return fail(kCheck, failure.text, "if it hangs: " + how_to_restart(machine));
    case ExitCode::kNoSuchMethod:
      return fail(kCheck, failure.text, "--socket or $HOSTCALL_ADMIN_SOCKET must name hostcalld's admin_socket");
    default: return fail(kCheck, failure.text, how_to_start(machine));
  }
}

Finding check_store(const Machine& machine, const v1::StoreCondition& store) {
  constexpr auto kStore = "store";
  if (store.state() == v1::StoreCondition::STATE_OK) return ok(kStore, "the store takes writes");
  return fail(kStore, printable(store.text()), store_advice(machine, store.state()));
}

DaemonAnswer check_daemon(const Machine& machine, Invocation& invocation) {
  try {
    auto [vms, stats, services] = ask(invocation);
    const auto session = invocation.client().session();
    Findings findings{judge_version(machine, session ? session->daemon_version : ""), judge_vms(vms)};
    // An older hostcalld does not tell.
    if (stats.has_store()) findings.push_back(check_store(machine, stats.store()));
    DaemonAnswer answer{.findings = std::move(findings), .vms = std::move(vms), .services = std::move(services)};
    if (!stats.runtime_directory().empty()) answer.runtime_directory = stats.runtime_directory();
    return answer;
  } catch (const Failure& failure) {
    return {{no_answer(machine, explain_access(failure, invocation.common()))}};
  }
}

}  // namespace hostcall::cli::host
