// Settings: the contents of all of the administrator's files, read together, so that a reload can take all or nothing.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/config.h"
#include "daemon/config/policy.h"
#include "daemon/config/policy_warnings.h"
#include "daemon/config/service_file.h"
#include "daemon/config/service_warnings.h"
#include "daemon/vms/registry.h"

namespace hostcall::daemon {

struct Settings {
  std::string file;  // that the configuration was read from
  Config config;
  std::vector<Registry::FileRecord> vms;
  Policy policy;
  Services services;
  std::vector<std::string> kept;      // about what only a restart changes
  std::vector<std::string> warnings;  // about the policy and services; read() gives those of services with errors

  // Also checks what the files say of this host: directories, groups. Throws ConfigError with file, line and reason.
  // `config_file`: empty means the one in force, see config_file_in_force(). `running`: the configuration of the daemon
  // that reloads, which keeps some of it; null: nothing runs.
  static Settings read(const std::string& config_file, const Config* running = nullptr);
  // Adds the warnings about services and rules that have no error. `known` and `host` hold what is in no file.
  void warn_of_contents(KnownNames known, ServiceHost host);
};

RegistryPaths registry_paths(const Config& config);

// What a start would find.
struct StartCheck {
  std::string file;     // the configuration
  std::size_t vms = 0;  // of files, and added at run time
  std::size_t rules = 0;
  std::size_t services = 0;
  std::vector<std::string> warnings;  // about the policy and services
};
// Does all that a start does before it listens, except that it does not open the store and writes nothing. Throws
// ConfigError. For `hostcalld --check` and Admin/ConfigCheck, beside a running daemon too. `methods`: that rules can
// name.
StartCheck check_start(const std::string& config_file, std::vector<KnownNames::Method> methods);

}  // namespace hostcall::daemon
