// hostcallctl run: lists and ends the calls that use the host's programs and sockets.
#include "client/cli/duration.h"
#include "client/cli/text.h"
#include "client/hostcallctl/host_verbs.h"
#include "client/hostcallctl/pages.h"
#include "hostcall/v1/admin.hostcall.h"

namespace hostcall::cli::host {
namespace {

constexpr char kListHelp[] = R"(Lists the calls that use a service of services.d now by number: runs of programs and
connections (relays) to sockets, of which VM, for how long, how many bytes went in
from the VM and out to it, and the program's unit or the socket. With -q, prints only
the numbers.
)";

constexpr char kListExamples[] = R"(  hostcallctl run list --vm web1
  hostcallctl run list --service backup -q | xargs -rn1 hostcallctl run kill
)";

constexpr char kKillHelp[] = R"(Ends one call: kills its program with all that it has started, or closes its
connection. The caller is told so (CANCELLED), and may call again at once: to keep a
VM out, change the policy. With -q, prints nothing.
)";

constexpr char kKillExamples[] = R"(  hostcallctl run kill 17
)";

std::string kind_name(const v1::RunState& run) {
  switch (run.kind()) {
    case v1::SERVICE_KIND_PROGRAM: return "run";
    case v1::SERVICE_KIND_SOCKET: return "relay";
    case v1::SERVICE_KIND_SERVER: return "call";
    default: return "(unknown)";  // one that a newer hostcalld knows
  }
}

class RunTable {
 public:
  std::string text_of(const v1::RunListResponse& page) {
    for (const auto& run : page.runs())
      table_.add({std::to_string(run.number()), kind_name(run), run.vm(), run.service(),
                  format_duration(nanoseconds(run.age_nano())), format_bytes(run.bytes_in()),
                  format_bytes(run.bytes_out()), run.place().empty() ? "(starting)" : run.place()});
    return table_.flush();
  }

 private:
  Table table_{{">NUMBER", "KIND", "VM", "SERVICE", ">AGE", ">IN", ">OUT", "PLACE"}};
};

std::string numbers_of(const v1::RunListResponse& list) {
  std::string numbers;
  for (const auto& run : list.runs()) numbers += std::to_string(run.number()) + "\n";
  return numbers;
}

class RunList : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--vm", "NAME", vm_, "List only the calls of this VM, or of @admin.");
    arguments.not_empty();
    arguments.option("--service", "NAME", service_, "List only the calls that use this service.");
    arguments.not_empty();
  }
  ExitCode run(Invocation& invocation) override {
    v1::RunListRequest request;
    request.set_vm(vm_);
    request.set_service(service_);
    RunTable table;
    show_pages<v1::Admin::RunList>(invocation, request, "runs", [&](const v1::RunListResponse& page) {
      return invocation.quiet() ? numbers_of(page) : table.text_of(page);
    });
    return ExitCode::kDone;
  }

 private:
  std::string vm_, service_;
};

class RunKill : public Verb {
 public:
  void declare(Arguments& arguments) override { arguments.positional("NUMBER", number_, "As run list shows it."); }
  ExitCode run(Invocation& invocation) override {
    v1::RunKillRequest request;
    request.set_number(number_);
    const auto ended = invocation.call<v1::Admin::RunKill>(request);
    invocation.confirm(ended, kind_name(ended.run()) + " " + std::to_string(number_) + " of " +
                                  printable(ended.run().service()) + " for " + printable(ended.run().vm()) +
                                  " ended\n");
    return ExitCode::kDone;
  }

 private:
  std::uint64_t number_ = 0;
};

}  // namespace

const VerbEntry kRunList{"run list", "list the calls that use programs and sockets", kListHelp, kListExamples,
                         []() -> std::unique_ptr<Verb> { return std::make_unique<RunList>(); }};
const VerbEntry kRunKill{"run kill", "end one of them, and its program", kKillHelp, kKillExamples,
                         []() -> std::unique_ptr<Verb> { return std::make_unique<RunKill>(); }};

}  // namespace hostcall::cli::host
