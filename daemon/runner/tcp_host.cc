#include "daemon/runner/tcp_host.h"

#include <cstdlib>

#include "daemon/runner/connector.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

wire::Status refusal(const ServiceRecord& service) {
  return {wire::Code::kFailedPrecondition, "service " + in_quotes(service.name) + " is not for hostcall-connect"};
}

}  // namespace

wire::Status TcpHost::check(const ProgramOrder& order) { return refusal(*order.service); }

wire::Status TcpHost::check(const ConnectOrder& order) {
  return order.socket().unix_path.empty() ? wire::Status{} : refusal(*order.service);
}

std::unique_ptr<HostedProgram> TcpHost::start(ProgramOrder, std::array<UniqueFd, 3>, HostObserver&) { std::abort(); }

std::unique_ptr<ConnectionAttempt> TcpHost::connect(const ConnectOrder& order, AttemptObserver& observer) {
  return std::make_unique<Connector>(reactor_, order.service->name, order.socket(), observer);
}

}  // namespace hostcall::daemon
