// Checks that the services of services.d can be used: how many are in force, which are disabled, and whose sockets are
// missing.
#include "client/cli/text.h"
#include "client/hostcallctl/checks.h"

namespace hostcall::cli::host {
namespace {

constexpr char kCheck[] = "services";
constexpr std::string_view kUnix = "unix:/";

std::string check_of(const v1::ServiceState& service) {
  return service.name().empty() ? kCheck : "service." + service.name();
}

Finding disabled(const v1::ServiceState& service) {
  const auto what = service.name().empty() ? "services of services.d are" : "it is";
  return fail(check_of(service), what + std::string(" disabled: ") + printable(service.disabled()),
              "correct the file; hostcallctl service check; hostcallctl policy reload");
}

// Abstract names and ports have no file. A connection would disturb whoever serves it.
void check_socket(const Machine& machine, const v1::ServiceState& service, Findings& findings) {
  if (service.kind() == v1::SERVICE_KIND_PROGRAM || !service.target().starts_with(kUnix)) return;
  const auto path = service.target().substr(kUnix.size() - 1);
  const auto status = machine.status(path);
  if (status.ok() && S_ISSOCK(status->st_mode)) return;
  findings.push_back(
      warn(check_of(service),
           (status.ok() ? printable(path) + " is not a socket" : status.error().message()) + ", so its calls fail",
           "start its server, or correct the path in services.d"));
}

Finding number_of(std::uint64_t in_force, std::uint64_t disabled) {
  if (in_force + disabled == 0) return ok(kCheck, "services.d has no service");
  return ok(kCheck, count(in_force, "service") + " in force" +
                        (disabled == 0 ? "" : ", " + std::to_string(disabled) + " disabled"));
}

}  // namespace

Findings check_services(const Machine& machine, const std::vector<v1::ServiceState>& services) {
  Findings findings{{}};
  std::uint64_t in_force = 0;
  for (const auto& service : services) {
    if (!service.disabled().empty()) {
      findings.push_back(disabled(service));
      continue;
    }
    ++in_force;
    check_socket(machine, service, findings);
  }
  findings.front() = number_of(in_force, services.size() - in_force);
  return findings;
}

}  // namespace hostcall::cli::host
