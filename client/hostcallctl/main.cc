// hostcallctl: administers a running hostcalld. Lists the verbs, which have files of their own; ../cli does the rest.
#include "client/hostcallctl/admin_socket.h"
#include "client/hostcallctl/host_verbs.h"

namespace {

namespace cli = hostcall::cli;
namespace host = hostcall::cli::host;

constexpr char kName[] = "hostcallctl";

constexpr char kHelp[] = R"(Administers this machine's hostcalld over its admin socket: VM records, policy,
services, sessions, keys. Only root and the group that it names (admin_group) may use the socket.
)";

constexpr char kExamples[] = R"(  hostcallctl vm add web1 --cid 42 --tag web
  hostcallctl vm list
  hostcallctl policy explain --vm web1 --call hostcall.v1.Host/Info
  hostcallctl session list --json | jq '.sessions[] | select(.vm == "web1")'
  hostcallctl doctor
)";

std::vector<cli::VerbEntry> verbs() {
  std::vector<cli::VerbEntry> all = {host::kStatus,        host::kTop,          host::kEvents,      host::kStats,
                                     host::kMetrics,       host::kVmList,       host::kVmShow,      host::kVmAdd,
                                     host::kVmSet,         host::kVmRemove,     host::kConfigCheck, host::kPolicyCheck,
                                     host::kPolicyExplain, host::kPolicyReload, host::kServiceList, host::kServiceShow,
                                     host::kServiceCheck,  host::kRunList,      host::kRunKill};
  const auto kv = host::kv_verbs();
  all.insert(all.end(), kv.begin(), kv.end());
  const auto last = {host::kStoreBackup, host::kStoreRestore, host::kSessionList, host::kSessionClose, host::kDoctor};
  all.insert(all.end(), last);
  return all;
}

cli::Program program() {
  return {
      .name = kName,
      .help = kHelp,
      .examples = kExamples,
      .endpoint = {.option = "--socket",
                   .placeholder = "PATH",
                   .variable = "HOSTCALL_ADMIN_SOCKET",
                   .fallback = host::kDefaultAdminSocket,
                   .prefix = "unix:",
                   .help = "hostcalld's admin socket; defaults to $HOSTCALL_ADMIN_SOCKET, else "
                           "/run/hostcall/admin.sock."},
      .verbs = verbs(),
      .takes_privileged_port = false,
      .refine = host::explain_access,
  };
}

}  // namespace

int main(int argc, char** argv) { return cli::run_program(kName, program, argc, argv); }
