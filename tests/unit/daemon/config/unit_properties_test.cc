// Properties of systemd's units: what D-Bus gets, and what is refused.
#include "daemon/config/unit_properties.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace hostcall::daemon {
namespace {

using testing::HasSubstr;
using Words = std::vector<std::string>;

constexpr std::uint64_t kInfinity = std::numeric_limits<std::uint64_t>::max();

TEST(UnitProperties, BecomeWhatDBusTakes) {
  const struct {
    const char* name;
    const char* text;
    const char* dbus_name;
    decltype(UnitProperty::value) value;
  } kCases[] = {
      {"MemoryMax", "512M", "MemoryMax", std::uint64_t{512} << 20},
      {"MemoryMax", "1", "MemoryMax", std::uint64_t{1}},
      {"MemoryHigh", "3T", "MemoryHigh", std::uint64_t{3} << 40},
      {"MemoryMax", "infinity", "MemoryMax", kInfinity},
      {"TasksMax", "32", "TasksMax", std::uint64_t{32}},
      {"TasksMax", "infinity", "TasksMax", kInfinity},
      {"CPUQuota", "50%", "CPUQuotaPerSecUSec", std::uint64_t{500'000}},
      {"CPUQuota", "200%", "CPUQuotaPerSecUSec", std::uint64_t{2'000'000}},
      {"CPUWeight", "10000", "CPUWeight", std::uint64_t{10'000}},
      {"Nice", "-5", "Nice", std::int32_t{-5}},
      {"PrivateTmp", "yes", "PrivateTmp", true},
      {"NoNewPrivileges", "false", "NoNewPrivileges", false},
      {"ProtectSystem", "strict", "ProtectSystem", std::string("strict")},
      {"ProtectHome", "true", "ProtectHome", std::string("yes")},
      {"ReadWritePaths", "/var/lib/a  -/srv", "ReadWritePaths", Words{"/var/lib/a", "-/srv"}},
      {"SupplementaryGroups", "disk kvm", "SupplementaryGroups", Words{"disk", "kvm"}},
  };
  for (const auto& one : kCases) {
    const auto read = read_unit_property(one.name, one.text);
    ASSERT_TRUE(read.ok()) << read.error().message();
    EXPECT_EQ(read->name, one.dbus_name);
    EXPECT_EQ(read->value, one.value) << one.name << "=" << one.text;
  }
}

TEST(UnitProperties, OtherValuesAreRefused) {
  constexpr std::pair<const char*, const char*> kCases[] = {
      {"MemoryMax", ""},
      {"MemoryMax", "M"},
      {"MemoryMax", "0"},
      {"MemoryMax", "-1"},
      {"MemoryMax", "1.5G"},
      {"MemoryMax", "50%"},
      {"MemoryMax", "16777216T"},
      {"CPUQuota", "50"},
      {"CPUQuota", "%"},
      {"CPUQuota", "0%"},
      {"CPUWeight", "0"},
      {"CPUWeight", "10001"},
      {"Nice", "20"},
      {"PrivateTmp", "maybe"},
      {"ProtectSystem", "all"},
      {"ReadWritePaths", "var"},
      {"ReadWritePaths", ""},
      {"ReadWritePaths", "/a b"},
      {"SupplementaryGroups", "-x"},
      {"Group", "a b"},
      {"TasksMax", "18446744073709551616"},
  };
  for (const auto& [name, text] : kCases) {
    const auto read = read_unit_property(name, text);
    ASSERT_FALSE(read.ok()) << name << "=" << text;
    EXPECT_THAT(read.error().message(), HasSubstr("property " + std::string(name) + " takes "));
  }
}

// Above all those that would let an entry be more than one program of one user.
TEST(UnitProperties, OtherNamesAreRefused) {
  for (const char* name : {"ExecStart", "ExecStartPre", "User", "DynamicUser", "AmbientCapabilities", "RootDirectory",
                           "Slice", "KillMode", "StandardOutput", "", "memorymax"})
    EXPECT_THAT(read_unit_property(name, "yes").error().message(), HasSubstr("can't be set here")) << name;
  EXPECT_EQ(read_unit_property("MemoryMaks", "1").error().message(),
            "property \"MemoryMaks\" can't be set here; do you mean MemoryMax?");
}

}  // namespace
}  // namespace hostcall::daemon
