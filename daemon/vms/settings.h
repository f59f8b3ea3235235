// Settings: everything that the administrator's files say, read in one go, so that a reload can take all of it or
// nothing.
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

  // Throws ConfigError naming file, line and reason.
  static Settings read(const std::string& config_file) {
    Settings settings;
    settings.config = Config::read(config_file);
    settings.vms = Registry::read_directory(settings.config.vms_directory, settings.config.own_sockets());
    settings.policy = Policy::read(settings.config.policy_directory);
    return settings;
  }
};

}  // namespace hostcall::daemon
