#include "tests/support/daemon_process.h"

#include <unistd.h>

#include <signal.h>

#include <cstdlib>
#include <stdexcept>

namespace hostcall::test {
namespace {

constexpr char kAllowAll[] = R"({"rules": [{"vms": ["*"], "calls": ["*"], "action": "allow"}]})";

std::string vms_text(const DaemonOptions& options) {
  if (!options.vms_json.empty()) return options.vms_json;
  std::string records;
  for (const auto& vm : options.vms)
    records += std::string(records.empty() ? "" : ", ") + R"({"name": ")" + vm + R"(", "unix_path": "@DIR@/)" + vm +
               R"(.sock"})";
  return R"({"vms": [)" + records + "]}";
}

std::string timeouts_text(std::map<std::string, std::uint64_t> timeouts) {
  for (const char* name : {"first_request_ms", "frame_ms", "heartbeat_ms", "call_default_ms"})
    timeouts.emplace(name, kFarMs);
  std::string members;
  for (const auto& [name, value] : timeouts)
    members += (members.empty() ? "\"" : ", \"") + name + "\": " + std::to_string(value);
  return "\"timeouts\": {" + members + "}, ";
}

std::string in_directory(std::string text, const std::string& directory) {
  constexpr std::string_view kMark = "@DIR@";
  for (std::size_t at = 0; (at = text.find(kMark, at)) != std::string::npos;) text.replace(at, kMark.size(), directory);
  return text;
}

}  // namespace

std::string program(const std::string& name) {
  const char* other_cli = std::getenv("HOSTCALL_CLI");
  if (name == "hostcall" && other_cli != nullptr) return other_cli;
  const char* directory = std::getenv("HOSTCALL_BUILD");
  if (directory == nullptr) throw std::runtime_error("HOSTCALL_BUILD is not set: run the tests by meson test");
  const char* folder = name == "hostcalld"     ? "/daemon/"
                       : name == "hostcallctl" ? "/client/hostcallctl/"
                                               : "/client/hostcall/";
  return directory + std::string(folder) + name;
}

namespace {

// That a program runs as root must be written.
std::string with_user(std::string text) {
  constexpr std::string_view kMark = "@USER@";
  const std::string user = ::geteuid() == 0 ? R"("user": "root", )" : "";
  for (auto at = text.find(kMark); at != std::string::npos; at = text.find(kMark)) text.replace(at, kMark.size(), user);
  return text;
}

}  // namespace

DaemonProcess::DaemonProcess(const DaemonOptions& options) {
  const auto& directory = directory_.path();
  directory_.write("vms.d/50-test.json", in_directory(vms_text(options), directory));
  directory_.write("policy.d/50-test.json", options.policy_json.empty() ? kAllowAll : options.policy_json);
  const std::string more = options.config_json.empty() ? "" : ", " + options.config_json;
  // No shared listener unless the test asks for one.
  const std::string listen = more.find("\"listen\"") == std::string::npos ? R"("listen": [], )" : "";
  directory_.write("hostcalld.json", in_directory("{" + listen + timeouts_text(options.timeouts_ms) +
                                                      R"("admin_socket": "@DIR@/admin.sock",
      "runtime_directory": "@DIR@/run", "state_directory": "@DIR@/state",
      "vms_directory": "@DIR@/vms.d", "policy_directory": "@DIR@/policy.d",
      "services_directory": "@DIR@/services.d", "runner": "direct")" +
                                                      more + "}",
                                                  directory));
  std::filesystem::create_directory(directory + "/services.d");
  if (!options.services_json.empty())
    directory_.write("services.d/50-test.json", with_user(in_directory(options.services_json, directory)));
  std::filesystem::create_directory(directory + "/run");
  std::filesystem::create_directory(directory + "/state");
  if (options.starts) restart();
}

void DaemonProcess::launch(const std::map<std::string, std::string>& environment) {
  process_ = std::make_unique<Process>(std::vector<std::string>{program("hostcalld"), "--config", config_file()},
                                       ProcessOptions{.environment = environment, .input = {}});
}

void DaemonProcess::restart() {
  launch();
  if (!process_->wait_for_error_text("started"))
    throw std::runtime_error("hostcalld did not start: " + process_->errors());
}

int DaemonProcess::stop() {
  process_->signal(SIGTERM);
  return process_->wait().value_or(255);
}

}  // namespace hostcall::test
