#include "daemon/runner/order.h"

#include <map>

#include "daemon/config/vm_record.h"
#include "proto/base/escape.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Status;

// systemd's for services of the system.
constexpr char kPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

std::string named(const std::string& service) { return "service " + in_quotes(service); }

// Finds the entry that hostcalld means, in the state that it knows.
Status find_service(const Services& services, const runner::Target& target,
                    std::shared_ptr<const ServiceRecord>& service) {
  // The name may be as long as it likes.
  if (!is_name(target.service())) return {Code::kNotFound, named(target.service()) + " does not exist"};
  service = services.find(target.service());
  if (service == nullptr && services.disabled(target.service()) != nullptr)
    return {Code::kUnavailable, named(target.service()) + " is disabled, because its entry has an error"};
  if (service == nullptr) return {Code::kNotFound, named(target.service()) + " does not exist"};
  if (service->digest != target.digest())
    return {Code::kUnavailable, named(service->name) + " has changed; reload hostcalld"};
  return {};
}

Status check_caller(const runner::Target& target) {
  if (!is_name(target.vm())) return {Code::kInvalidArgument, in_quotes(target.vm()) + " is not a VM's name"};
  if (!target.uuid().empty() && !is_uuid(target.uuid()))
    return {Code::kInvalidArgument, in_quotes(target.uuid()) + " is not a UUID"};
  return {};
}

std::vector<std::string> command_of(const ProgramOrder& order, const PlaceholderValues& values,
                                    const std::vector<std::string>& arguments) {
  std::vector<std::string> command;
  for (const auto& word : order.program().command) command.push_back(filled_in(word, values));
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

std::vector<std::string> environment_of(const ProgramOrder& order, const PlaceholderValues& values) {
  std::map<std::string, std::string> variables{{"PATH", kPath}};
  for (const auto& [name, value] : order.program().environment) variables[name] = filled_in(value, values);
  variables["HOSTCALL_VM"] = order.vm;
  variables["HOSTCALL_VM_UUID"] = order.uuid;
  variables["HOSTCALL_SERVICE"] = order.service->name;
  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  return environment;
}

}  // namespace

Status check_start(const Services& services, const runner::Start& start, ProgramOrder& order) {
  if (auto found = find_service(services, start.target(), order.service); !found.ok()) return found;
  if (order.service->program() == nullptr)
    return {Code::kFailedPrecondition, named(order.service->name) + " is a socket, not a program"};
  if (auto checked = check_caller(start.target()); !checked.ok()) return checked;
  const std::vector<std::string> arguments(start.arguments().begin(), start.arguments().end());
  if (const auto checked = check_arguments(order.program(), arguments); !checked.ok())
    return {Code::kInvalidArgument, named(order.service->name) + ": " + checked.error().message()};
  order.vm = start.target().vm();
  order.uuid = start.target().uuid();
  const PlaceholderValues values{.vm = order.vm, .uuid = order.uuid, .service = order.service->name};
  order.command = command_of(order, values, arguments);
  order.environment = environment_of(order, values);
  return {};
}

Status check_connect(const Services& services, const runner::Connect& connect, ConnectOrder& order) {
  if (auto found = find_service(services, connect.target(), order.service); !found.ok()) return found;
  const auto* socket = order.service->socket();
  if (socket == nullptr) return {Code::kFailedPrecondition, named(order.service->name) + " is a program, not a socket"};
  if (auto checked = check_caller(connect.target()); !checked.ok()) return checked;
  // Else hostcalld could reach it with the runner's rights.
  if (!socket->unix_path.empty() && order.service->user.empty())
    return {Code::kFailedPrecondition, named(order.service->name) + " has no user: hostcalld connects by itself"};
  order.vm = connect.target().vm();
  return {};
}

}  // namespace hostcall::daemon
