// hostcall doctor: checks everything between this VM and its host, and says how to fix what it finds.
#include "client/cli/output.h"
#include "client/hostcall/guest_checks.h"
#include "client/hostcall/guest_verbs.h"

namespace hostcall::cli::guest {
namespace {

constexpr char kHelp[] = R"(Checks everything between this VM and its host, in the order in which things
depend on each other: address, AF_VSOCK, the vsock device and its driver, the
connection, the identity, the clock. Each line is ok, warn or fail, and tells you
how to fix what is not ok. With -q, leaves out what is ok.

Exits with 0 if nothing failed, else with 1.
)";

constexpr char kExamples[] = R"(  hostcall doctor -q || hostcall doctor --json > /tmp/for-the-ticket.json
)";

class GuestDoctor : public Verb {
 public:
  ExitCode run(Invocation& invocation) override {
    const auto findings = examine_guest(invocation, Machine());
    print(invocation.json() ? to_json(findings) + "\n" : to_text(findings, invocation.quiet()));
    return exit_code_of(findings);
  }
};

}  // namespace

const VerbEntry kDoctor{"doctor", "find and fix what is wrong between VM and host", kHelp, kExamples,
                        []() -> std::unique_ptr<Verb> { return std::make_unique<GuestDoctor>(); }};

}  // namespace hostcall::cli::guest
