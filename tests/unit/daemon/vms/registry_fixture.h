// A registry on directories of its own, and records in few words.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "daemon/vms/registry.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/config_error.h"

namespace hostcall::daemon {

inline VmRecord by_cid(const std::string& name, std::uint32_t cid) {
  return {.name = name, .uuid = {}, .tags = {}, .cid = cid, .unix_path = {}, .limits = {}};
}

inline VmRecord by_path(const std::string& name, const std::string& path) {
  return {.name = name, .uuid = {}, .tags = {}, .cid = 0, .unix_path = path, .limits = {}};
}

inline FileRecord in_file(VmRecord record, unsigned line = 1) {
  return {.record = std::move(record), .file = "vms.json", .line = line};
}

inline std::vector<std::string> names(const std::vector<VmRef>& vms) {
  std::vector<std::string> all;
  for (const auto& vm : vms) all.push_back(vm->record.name);
  return all;
}

class RegistryTest : public ::testing::Test {
 protected:
  // A daemon that starts: what is on disk, then the files of vms.d.
  Registry start(const std::vector<FileRecord>& files = {}) {
    Registry registry({.runtime_directory = run_, .state_directory = state_, .own_sockets = {}}, {});
    registry.replace_files(files, {});
    return registry;
  }
  void reboot_host() {
    std::filesystem::remove_all(run_);
    std::filesystem::create_directory(run_);
  }
  // With --persistent, as the service does it.
  static Registry::Outcome add_persistent(Registry& registry, const VmRecord& record) {
    auto outcome = registry.add(record, true);
    if (outcome.vm) {
      EXPECT_TRUE(registry.writing(*outcome.vm)().ok());
    }
    return outcome;
  }

  test::TempDir dir_;
  std::string run_ = make_directory("run");
  std::string state_ = make_directory("state");

 private:
  std::string make_directory(const std::string& name) {
    std::filesystem::create_directory(dir_ / name);
    return dir_ / name;
  }
};

}  // namespace hostcall::daemon
