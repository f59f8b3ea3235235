// hostcallctl config: checks all of the daemon's files.
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "client/hostcallctl/warnings.h"
#include "hostcall/v1/admin.hostcall.h"
#include "proto/base/escape.h"

namespace hostcall::cli::host {
namespace {

constexpr char kCheckHelp[] = R"(Asks hostcalld to do all that a start does before it listens: read the
configuration, the VM records, the services and the policy, and check the directories
and groups that they name, and who else could change the files. Changes nothing. If
something is wrong, prints file, line and reason, and exits with 1. Without a running
daemon: hostcalld --check. Warns of rules as "policy check" does, of services as
"service check" does, and of those that an error disables. With -q, prints only errors and warnings.
)";

constexpr char kCheckExamples[] = R"(  hostcallctl config check && systemctl restart hostcalld
)";

class ConfigCheck : public Verb {
 public:
  ExitCode run(Invocation& invocation) override {
    const auto reply = invocation.client().call<v1::Admin::ConfigCheck>({}, invocation.rest());
    // A mistake in a file is a negative answer here, not a usage error.
    if (reply.status().code == Code::kInvalidArgument)
      throw Failure{ExitCode::kNegative, escape_message(reply.status().message)};
    const auto checked = value_of_read(reply);
    show_warnings(invocation, checked.warnings());
    invocation.confirm(checked, printable(checked.file()) + ": valid, " + count(checked.vms(), "VM") + ", " +
                                    count(checked.rules(), "policy rule") + ", " +
                                    count(checked.services(), "service") + "\n");
    return ExitCode::kDone;
  }
};

}  // namespace

const VerbEntry kConfigCheck{"config check", "check all files as a start does", kCheckHelp, kCheckExamples,
                             []() -> std::unique_ptr<Verb> { return std::make_unique<ConfigCheck>(); }};

}  // namespace hostcall::cli::host
