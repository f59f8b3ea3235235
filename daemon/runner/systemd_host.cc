#include "daemon/runner/systemd_host.h"

#include <ctime>
#include <stdexcept>
#include <utility>

#include "daemon/runner/helper_attempt.h"
#include "daemon/runner/transient_unit.h"
#include "daemon/runner/unit_name.h"
#include "proto/base/escape.h"
#include "proto/base/utf8.h"

namespace hostcall::daemon {
namespace {

using wire::Code;
using wire::Status;

// Milliseconds since the host has booted: no runner before has given out such a number, unless it has started a
// thousand programs a second.
std::uint64_t first_number() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

Status check_names(const ServiceRecord& service, const std::string& vm) {
  if (unit_names(service.name, vm, ~std::uint64_t{0})) return {};
  return {Code::kFailedPrecondition, "the names of service " + in_quotes(service.name) + " and VM " + in_quotes(vm) +
                                         " are too long together for a unit of systemd; each \"-\" counts four times"};
}

UnitSpec spec_of(const ServiceRecord& service, const std::string& vm, const std::string& uuid, std::uint64_t number) {
  auto names = unit_names(service.name, vm, number).value_or(UnitNames{});
  UnitSpec spec;
  spec.name = std::move(names.unit);
  spec.slice = std::move(names.slice);
  spec.description = service.name + " for VM " + vm + " (hostcall)";
  spec.user = service.user;
  spec.log_fields = {{"HOSTCALL_VM", vm}, {"HOSTCALL_VM_UUID", uuid}, {"HOSTCALL_SERVICE", service.name}};
  return spec;
}

// The entry was checked when it was read.
std::vector<UnitProperty> properties_of(const ProgramService& program) {
  std::vector<UnitProperty> properties;
  for (const auto& [name, text] : program.properties)
    if (auto property = read_unit_property(name, text); property.ok())
      properties.push_back(std::move(property).value());
  return properties;
}

constexpr char kOfSystemd[] = "type='signal',sender='org.freedesktop.systemd1',";
constexpr char kJobRemoved[] =
    "path='/org/freedesktop/systemd1',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
constexpr char kUnitChanged[] =
    "path_namespace='/org/freedesktop/systemd1/unit',interface='org.freedesktop.DBus.Properties',"
    "member='PropertiesChanged',arg0='org.freedesktop.systemd1.Unit'";

}  // namespace

SystemdHost::SystemdHost(Reactor& reactor, Bus& bus, std::string helper)
    : reactor_(reactor), bus_(bus), helper_(std::move(helper)), number_(first_number()) {
  receive(kJobRemoved, [this](BusMessage signal) {
    signal.skip("uo");
    bus_.notify(unit_path(signal.read_text()));
  });
  receive(kUnitChanged, [this](BusMessage signal) {
    if (says_over(signal)) bus_.notify(signal.path());
  });
  const BusMember subscribe{"org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                            "Subscribe"};
  auto call = bus_.call(
      subscribe, [](sd_bus_message*) { return 0; }, [](BusMessage) {});
  if (!call.ok()) throw std::runtime_error(call.error().message());
  subscribed_ = std::move(call).value();
}

void SystemdHost::receive(const char* signal, BusHandler handler) {
  const auto matched = bus_.match(std::string(kOfSystemd) + signal, std::move(handler));
  if (!matched.ok()) throw std::runtime_error(matched.error().message());
}

Status SystemdHost::check(const ProgramOrder& order) {
  if (auto checked = check_names(*order.service, order.vm); !checked.ok()) return checked;
  for (const auto& word : order.command)
    if (!utf8::is_valid(word))
      return {Code::kInvalidArgument,
              "service " + in_quotes(order.service->name) + ": argument " + in_quotes(word) + " is not UTF-8"};
  return {};
}

Status SystemdHost::check(const ConnectOrder& order) {
  if (order.socket().unix_path.empty())
    return {Code::kFailedPrecondition, "service " + in_quotes(order.service->name) + " is for hostcall-connect"};
  return check_names(*order.service, order.vm);
}

std::unique_ptr<HostedProgram> SystemdHost::start(ProgramOrder order, std::array<UniqueFd, 3> descriptors,
                                                  HostObserver& observer) {
  auto spec = spec_of(*order.service, order.vm, order.uuid, number_++);
  spec.command = std::move(order.command);
  spec.environment = std::move(order.environment);
  spec.directory = order.program().directory;
  spec.timeout = order.program().timeout;
  spec.properties = properties_of(order.program());
  spec.descriptors = std::move(descriptors);
  return std::make_unique<TransientUnit>(reactor_, bus_, order.service->name, std::move(spec), observer);
}

std::unique_ptr<ConnectionAttempt> SystemdHost::connect(const ConnectOrder& order, AttemptObserver& observer) {
  auto spec = spec_of(*order.service, order.vm, {}, number_++);
  spec.command = {helper_, "--connect", order.socket().address()};
  spec.environment = {"HOSTCALL_SERVICE=" + order.service->name};
  spec.timeout = kConnectTime;
  return std::make_unique<HelperAttempt>(reactor_, bus_, order.service->name, std::move(spec), observer);
}

}  // namespace hostcall::daemon
