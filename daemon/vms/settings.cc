#include "daemon/vms/settings.h"

namespace hostcall::daemon {

Settings Settings::read(const std::string& config_file, const Config* running) {
  Settings settings;
  settings.file = config_file_in_force(config_file);
  settings.config = Config::read_and_check(settings.file);
  if (running != nullptr) settings.kept = settings.config.keep_until_restart(*running);
  const auto& config = settings.config;
  settings.vms = Registry::read_directory(config.vms_directory, registry_paths(config), config.limits);
  settings.policy = Policy::read(config.policy_directories());
  settings.services = Services::read(config.services_directories());
  settings.warnings = settings.services.warnings();
  return settings;
}

void Settings::warn_of_contents(KnownNames known, ServiceHost host) {
  host.add(config);
  known.add(services);
  for (const auto& vm : vms) {
    known.add(vm.record);
    host.add(vm.record);
  }
  for (const auto& found : {service_warnings(services, host), policy_warnings(policy, known)})
    warnings.insert(warnings.end(), found.begin(), found.end());
}

RegistryPaths registry_paths(const Config& config) {
  return {.runtime_directory = config.runtime_directory,
          .state_directory = config.state_directory,
          .own_sockets = config.own_sockets()};
}

StartCheck check_start(const std::string& config_file, std::vector<KnownNames::Method> methods) {
  auto settings = Settings::read(config_file);
  Registry registry(registry_paths(settings.config), settings.config.limits);
  const auto vms = registry.all().size() + settings.vms.size();
  KnownNames known;
  known.methods = std::move(methods);
  ServiceHost host;
  for (const auto& [name, vm] : registry.all()) {
    known.add(vm->record);
    host.add(vm->record);
  }
  settings.warn_of_contents(std::move(known), std::move(host));
  registry.begin_replacement(std::move(settings.vms), settings.config.limits);
  registry.prepare(kAllAtOnce);
  return {.file = std::move(settings.file),
          .vms = vms,
          .rules = settings.policy.rules().size(),
          .services = settings.services.size(),
          .warnings = std::move(settings.warnings)};
}

}  // namespace hostcall::daemon
