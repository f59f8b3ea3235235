// Checks that hostcalld answers on its admin socket, and asks it for its VMs.
#include "client/cli/text.h"
#include "client/hostcallctl/admin_socket.h"
#include "client/hostcallctl/checks.h"
#include "hostcall/v1/admin.hostcall.h"

namespace hostcall::cli::host {
namespace {

constexpr char kCheck[] = "daemon";

Finding unreachable(const Status& status, const Common& common) {
  const auto failure = explain_access(failure_of(status), common);
  if (failure.code == ExitCode::kDenied) return fail(kCheck, failure.text, "run it as root");
  return fail(kCheck, failure.text,
              "systemctl start hostcalld.service; if that fails: journalctl -u hostcalld.service -b");
}

Finding judge_version(const std::string& version) {
  const auto text = "hostcalld " + printable(version) + " answers";
  if (version == HOSTCALL_VERSION) return ok(kCheck, text);
  return warn(kCheck, text + ", but this program is version " HOSTCALL_VERSION,
              "systemctl restart hostcalld.service, if it was updated after it started");
}

Finding judge_vms(const std::vector<v1::VmState>& vms) {
  if (!vms.empty()) return ok("vms", std::to_string(vms.size()) + (vms.size() == 1 ? " VM record" : " VM records"));
  return warn("vms", "no VM is registered, so every guest is refused",
              "register one: hostcallctl vm add, or a file in vms.d");
}

std::string store_advice(v1::StoreCondition::State state) {
  switch (state) {
    case v1::StoreCondition::STATE_DISK_FULL: return "make room on the disk of hostcalld's state_directory";
    case v1::StoreCondition::STATE_NO_MEMORY: return "give the host memory";
    case v1::StoreCondition::STATE_READ_ONLY:
      return "look for the disk's errors (journalctl -k), then systemctl restart hostcalld.service";
    default: return "see journalctl -u hostcalld.service -b";
  }
}

}  // namespace

Finding check_store(const v1::StoreCondition& store) {
  constexpr auto kCheck = "store";
  if (store.state() == v1::StoreCondition::STATE_OK) return ok(kCheck, "the store takes writes");
  return fail(kCheck, printable(store.text()), store_advice(store.state()));
}

DaemonAnswer check_daemon(Invocation& invocation) {
  std::vector<v1::VmState> vms;
  v1::VmListRequest request;
  do {
    const auto page = invocation.reply_of<v1::Admin::VmList>(request);
    if (!page.ok()) return {{unreachable(page.status(), invocation.common())}, std::nullopt};
    vms.insert(vms.end(), page->vms().begin(), page->vms().end());
    request.set_after(page->next());
  } while (!request.after().empty());
  const auto session = invocation.client().session();
  Findings findings{judge_version(session ? session->daemon_version : ""), judge_vms(vms)};
  const auto stats = invocation.reply_of<v1::Admin::Stats>();
  if (!stats.ok()) return {{unreachable(stats.status(), invocation.common())}, std::nullopt};
  if (stats->has_store()) findings.push_back(check_store(stats->store()));
  return {std::move(findings), std::move(vms)};
}

}  // namespace hostcall::cli::host
