// Names of units.
#include "daemon/runner/unit_name.h"

#include <gtest/gtest.h>

namespace hostcall::daemon {
namespace {

TEST(UnitName, NamesServiceVmAndNumber) {
  const auto names = unit_names("backup", "web1", 7);
  EXPECT_EQ(names->unit, "hostcall-run-backup-web1-7.service");
  EXPECT_EQ(names->slice, "hostcall-run-web1.slice");
}

// A drop-in for hostcall-run-backup-.service must not match the units of backup-home.
TEST(UnitName, NoServiceHasThePrefixOfAnother) {
  const auto names = unit_names("backup-home", "db-1.a_b", 1);
  EXPECT_EQ(names->unit, "hostcall-run-backup\\x2dhome-db\\x2d1.a_b-1.service");
  EXPECT_EQ(names->slice, "hostcall-run-db\\x2d1.a_b.slice");
  EXPECT_FALSE(names->unit.starts_with("hostcall-run-backup-"));
}

TEST(UnitName, IsAsLongAsSystemdAllows) {
  const std::string longest(64, 'a');
  EXPECT_TRUE(unit_names(longest, longest, ~std::uint64_t{0}));
  EXPECT_FALSE(unit_names("a" + std::string(63, '-'), "web1", 1));
  EXPECT_FALSE(unit_names("a", "a" + std::string(63, '-'), 1));
}

}  // namespace
}  // namespace hostcall::daemon
