// Settings: the contents of all of the administrator's files, read together, so that a reload can take all or nothing.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/config.h"
#include "daemon/config/policy.h"
#include "daemon/vms/registry.h"

namespace hostcall::daemon {

struct Settings {
  Config config;
  std::vector<Registry::FileRecord> vms;
  Policy policy;

  // Throws ConfigError with file, line and reason.
  static Settings read(const std::string& config_file) {
    Settings settings;
    settings.config = Config::read(config_file);
    settings.vms = Registry::read_directory(settings.config.vms_directory, settings.config.own_sockets());
    settings.policy = Policy::read(settings.config.policy_directory);
    return settings;
  }
};

}  // namespace hostcall::daemon
