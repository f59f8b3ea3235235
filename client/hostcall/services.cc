// hostcall services: lists the methods that policy lets this VM call, and the VM's limits.
#include "client/cli/limit_table.h"
#include "client/cli/text.h"
#include "client/hostcall/guest_verbs.h"
#include "hostcall/v1/session.hostcall.h"

namespace hostcall::cli::guest {
namespace {

constexpr char kHelp[] = R"(Lists every method that the host's policy lets this VM call, with the resources
and the rate that policy grants, and the VM's limits with what is left of each.
Of a service that the host routes to another program, each method is listed if
the host has its descriptors, else "/*" stands for all of them. hostcall
describe prints what a method takes and returns.

With -q, prints only the names of the methods.
)";

constexpr char kExamples[] = R"(  hostcall services
  hostcall services -q | grep -qx hostcall.v1.Host/Metrics && echo may
)";

std::string method_table(const v1::ListServicesResponse& services) {
  Table table({"METHOD", "RESOURCES", ">RATE"});
  for (const auto& method : services.methods()) {
    const auto& globs = method.resources();
    const double rate = method.rate_per_second();
    table.add(
        {method.method(), globs.empty() ? "any" : join({globs.begin(), globs.end()}, ", "),
         rate > 0 ? fixed(rate, rate == static_cast<double>(static_cast<std::int64_t>(rate)) ? 0 : 2) + "/s" : "-"});
  }
  return table.to_string();
}

std::string names_of(const v1::ListServicesResponse& services) {
  std::string names;
  for (const auto& method : services.methods()) names += shown(method.method()) + "\n";
  return names;
}

class Services : public Verb {
 public:
  ExitCode run(Invocation& invocation) override {
    const auto services = invocation.read<v1::Session::ListServices>();
    invocation.show(services, invocation.quiet() ? names_of(services)
                                                 : method_table(services) + "\n" + limit_table(services.limits()));
    return ExitCode::kDone;
  }
};

}  // namespace

const VerbEntry kServices{"services", "list what this VM may call, and its limits", kHelp, kExamples,
                          []() -> std::unique_ptr<Verb> { return std::make_unique<Services>(); }};

}  // namespace hostcall::cli::guest
