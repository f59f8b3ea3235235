#include "tests/support/rig.h"

#include <fcntl.h>

#include <array>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include "daemon/handover/incoming.h"

namespace hostcall::daemon::test {

Rig::Pipe::Pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("pipe2");
  reading = UniqueFd::adopt(ends[0]);
  writing = UniqueFd::adopt(ends[1]);
}

Config Rig::make_config(const RigOptions& options) const {
  Config made;
  made.admin_socket = path_of("admin");
  made.admin_group = "";
  made.runtime_directory = directory.path();
  made.state_directory = directory / "state";
  made.vms_directory = directory / "vms.d";
  made.policy_directory = directory / "policy.d";
  made.services_directory = directory / "services.d";
  made.limits = options.limits;
  made.timeouts = options.timeouts;
  return made;
}

Rig::Rig(const RigOptions& options)
    : config(make_config(options)),
      journal({.level = Level::kDebug, .stderr_fd = log_.writing.get()}),
      audit(journal),
      registry(registry_paths(config), options.limits),
      access(Policy::parse({{"policy.d/50-test.json", options.policy}})),
      server({.reactor = reactor,
              .journal = journal,
              .audit = audit,
              .stats = stats,
              .config = config,
              .registry = registry,
              .access = access,
              .catalog = catalog,
              .router = router,
              .lifetimes = lifetimes,
              .background = background},
             directory / "hostcalld.json") {
  journal.observe(&events);
  std::filesystem::create_directories(directory / "vms.d");
  std::filesystem::create_directories(directory / "state");
  std::filesystem::create_directories(directory / "policy.d");
  std::filesystem::create_directories(directory / "services.d");
  std::string vms;
  for (const auto& name : options.vms)
    vms += (vms.empty() ? "" : ",\n") + std::string(R"({"name": ")") + name + R"(", "unix_path": ")" + path_of(name) +
           "\"}";
  write_vms("{\"vms\": [\n" + vms + "]}");
  write_policy(options.policy);
  write_config("");
  registry.replace_files(Registry::read_directory(config.vms_directory), options.limits);
}

void Rig::start() {
  Incoming nothing;
  server.start({}, nothing);
}

void Rig::stop() {
  server.shut_down();
  advance(config.timeouts.drain + seconds(2), seconds(1));
}

void Rig::write_config(const std::string& members) {
  directory.write(
      "hostcalld.json", R"({"admin_socket": ")" + config.admin_socket + R"(", "admin_group": "",
 "runtime_directory": ")" + config.runtime_directory +
                            R"(", "state_directory": ")" + config.state_directory + R"(", "vms_directory": ")" +
                            config.vms_directory + R"(", "policy_directory": ")" + config.policy_directory +
                            R"(", "services_directory": ")" + config.services_directory + "\"" + members + "}");
}

void Rig::use_services(const std::string& text) {
  directory.write("services.d/50-test.json", text);
  (void)catalog.exchange(Services::read({config.services_directory}));
}

void Rig::advance(Duration time_passed, Duration step) {
  for (auto left = time_passed; left > Duration::zero(); left -= step) {
    time.advance(std::min(left, step));
    settle();
  }
}

std::unique_ptr<WireClient> Rig::peer(const std::string& vm) {
  return std::make_unique<WireClient>("unix:" + path_of(vm), [this] { settle(); });
}

ReloadOutcome Rig::reload() {
  std::optional<ReloadOutcome> outcome;
  server.reload([&](const ReloadOutcome& reloaded) { outcome = reloaded; });
  settle();
  return outcome.value();
}

std::string Rig::log() {
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t got = 0; (got = ::read(log_.reading.get(), buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(got));
  return text;
}

}  // namespace hostcall::daemon::test
