// hostcall: the guest's command line. Lists the verbs, which have files of their own; ../cli does the rest.
#include "client/hostcall/guest_verbs.h"
#include "proto/net/address.h"

namespace {

namespace cli = hostcall::cli;
namespace guest = hostcall::cli::guest;

constexpr char kName[] = "hostcall";

constexpr char kHelp[] = R"(Calls the host of this virtual machine: no network, no password, no key. The host
knows which VM calls, and its policy decides what the VM may do.
)";

constexpr char kExamples[] = R"(  hostcall whoami
  hostcall services
  hostcall info --json | jq -r .hostName
  hostcall call hostcall.v1.Session/Ping '{"payload": "aGk="}'
  hostcall doctor
)";

std::vector<cli::VerbEntry> verbs() {
  std::vector<cli::VerbEntry> all = {guest::kWhoAmI, guest::kPing,    guest::kInfo,   guest::kServices,
                                     guest::kRun,    guest::kConnect, guest::kForward};
  const auto kv = guest::kv_verbs();
  all.insert(all.end(), kv.begin(), kv.end());
  all.insert(all.end(), {guest::kCall, guest::kDescribe, guest::kSpeedTest, guest::kDoctor});
  return all;
}

cli::Program program() {
  return {
      .name = kName,
      .help = kHelp,
      .examples = kExamples,
      .endpoint = {.option = "--address",
                   .placeholder = "ADDRESS",
                   .variable = "HOSTCALL_ADDRESS",
                   .fallback = hostcall::net::kDefaultAddress,
                   .prefix = "",
                   .help = "Where the host listens: vsock:CID:PORT or unix:/path; defaults to $HOSTCALL_ADDRESS, "
                           "else vsock:2:18499."},
      .verbs = verbs(),
      .takes_privileged_port = true,
      .refine = nullptr,
  };
}

}  // namespace

int main(int argc, char** argv) { return cli::run_program(kName, program, argc, argv); }
