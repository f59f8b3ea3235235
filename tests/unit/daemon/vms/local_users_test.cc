// Names of users, from a file in the form of /etc/passwd.
#include "daemon/vms/local_users.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

TEST(LocalUsersTest, KnowsThoseOfItsFile) {
  const test::TempDir directory;
  LocalUsers users(directory.write("passwd", "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n"));
  EXPECT_EQ(users.name_of(1000), "ann");
  EXPECT_EQ(users.name_of(0), "root");
  EXPECT_EQ(users.name_of(7), "");
  EXPECT_EQ(LocalUsers(directory / "missing").name_of(0), "");
}

TEST(LocalUsersTest, AreLookedUpOnceAndFewAreKept) {
  const test::TempDir directory;
  const auto file = directory.write("passwd", "ann:x:1000:1000::/home/ann:/bin/sh\n");
  LocalUsers users(file);
  EXPECT_EQ(users.name_of(1000), "ann");
  directory.write("passwd", "bob:x:1000:1000::/home/bob:/bin/sh\n");
  EXPECT_EQ(users.name_of(1000), "ann");
  for (uid_t uid = 2000; uid < 2100; ++uid) EXPECT_EQ(users.name_of(uid), "");
  EXPECT_EQ(users.name_of(1000), "bob") << "others have taken its place";
}

}  // namespace
}  // namespace hostcall::daemon
