// Checks that systemd holds hostcalld's sockets and runs the daemon.
#include <map>
#include <sstream>

#include "client/hostcallctl/checks.h"
#include "client/hostcallctl/program_output.h"

namespace hostcall::cli::host {
namespace {

using Properties = std::map<std::string, std::string>;

// "Name=value" lines.
Properties parse(const std::string& text) {
  Properties properties;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find('=');
    if (equals != std::string::npos) properties[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return properties;
}

Finding judge(const std::string& unit, Properties state) {
  const auto check = "unit." + unit;
  const auto active = state["ActiveState"] + " (" + state["SubState"] + ")";
  if (state["LoadState"] == "not-found")
    return warn(check, "is not installed",
                "install hostcall's units, or start hostcalld by hand and set \"listen\" in its configuration");
  if (state["LoadState"] == "masked") return fail(check, "is masked", "systemctl unmask " + unit);
  if (state["ActiveState"] == "failed")
    return fail(check, active, "journalctl -u " + unit + " -b; then systemctl restart " + unit);
  if (state["ActiveState"] == "active") return ok(check, active);
  // The socket starts an inactive service on the first call.
  if (unit == "hostcalld.service") return ok(check, active + "; the first call starts it, if the socket is active");
  return warn(check, active, "systemctl enable --now " + unit);
}

Finding check_unit(const std::string& unit, const std::string& systemctl, TimePoint deadline) {
  auto shown = program_output({systemctl, "show", "--property=LoadState,ActiveState,SubState", unit}, deadline);
  if (!shown.ok())
    return warn("unit." + unit, "systemctl failed: " + shown.error().message(), "run systemctl status " + unit);
  return judge(unit, parse(*shown));
}

}  // namespace

Findings check_units(const Machine& machine, const std::string& systemctl, TimePoint deadline) {
  if (!machine.has_systemd()) return {ok("unit", "systemd is not this machine's init; there are no units to check")};
  return {check_unit("hostcalld.socket", systemctl, deadline), check_unit("hostcalld.service", systemctl, deadline)};
}

}  // namespace hostcall::cli::host
