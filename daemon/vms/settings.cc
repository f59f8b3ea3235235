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

RegistryPaths registry_paths(const Config& config) {
  return {.runtime_directory = config.runtime_directory,
          .state_directory = config.state_directory,
          .own_sockets = config.own_sockets()};
}

StartCheck check_start(const std::string& config_file, std::vector<KnownNames::Method> methods) {
  auto settings = Settings::read(config_file);
  const auto rules = settings.policy.rules().size();
  KnownNames known;
  known.methods = std::move(methods);
  for (const auto& vm : settings.vms) known.add(vm.record);
  known.add(settings.services);
  Registry registry(registry_paths(settings.config), settings.config.limits);
  const auto vms = registry.all().size() + settings.vms.size();
  for (const auto& [name, vm] : registry.all()) known.add(vm->record);
  registry.begin_replacement(std::move(settings.vms), settings.config.limits);
  registry.prepare(kAllAtOnce);
  auto warnings = policy_warnings(settings.policy, known);
  warnings.insert(warnings.begin(), settings.warnings.begin(), settings.warnings.end());
  return {.file = std::move(settings.file),
          .vms = vms,
          .rules = rules,
          .services = settings.services.size(),
          .warnings = std::move(warnings)};
}

}  // namespace hostcall::daemon
