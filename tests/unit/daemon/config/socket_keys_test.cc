#include "daemon/config/socket_keys.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

namespace fs = std::filesystem;

class SocketKeysTest : public testing::Test {
 protected:
  SocketKeysTest() {
    fs::create_directories(dir_ / "real/sub");
    fs::create_directory_symlink(dir_ / "real", dir_ / "link");
    fs::create_directory_symlink("link", dir_ / "second");
    fs::create_symlink("real/a.sock", dir_ / "to_a");
    fs::create_symlink("to_a", dir_ / "to_to_a");
    fs::create_symlink(dir_ / "loop", dir_ / "loop");
  }
  bool same(const std::string& one, const std::string& other) { return key(one) == key(other); }
  std::string key(const std::string& path) {
    SocketKeys keys;
    return keys.key_of(path.starts_with('/') || path.starts_with('@') ? path : dir_ / path);
  }
  test::TempDir dir_;
};

TEST_F(SocketKeysTest, OneSocketHasOneKeyHoweverItIsSpelt) {
  for (const auto* other :
       {"link/a.sock", "second/a.sock", "real/sub/../a.sock", "link/./a.sock", "second/sub/../a.sock", "real//a.sock"})
    EXPECT_TRUE(same("real/a.sock", other)) << other;
}

TEST_F(SocketKeysTest, OthersHaveOthers) {
  for (const auto* other : {"to_a", "real/b.sock", "a.sock", "real/sub/a.sock", "@a.sock", "loop", "missing/a.sock"})
    EXPECT_FALSE(same("real/a.sock", other)) << other;
  EXPECT_TRUE(same("@name", "@name"));
  EXPECT_FALSE(same("@name", "@other"));
}

TEST_F(SocketKeysTest, TheSocketBehindLinksHasItsOwnKey) {
  for (const auto* link : {"to_a", "to_to_a"}) EXPECT_TRUE(same("real/a.sock", behind_links(dir_ / link))) << link;
  EXPECT_EQ(behind_links(dir_ / "loop"), dir_ / "loop");
  EXPECT_EQ(behind_links(dir_ / "real/a.sock"), dir_ / "real/a.sock");
}

TEST_F(SocketKeysTest, AMissingDirectoryCountsByItsNameBelowTheOneThatIsThere) {
  EXPECT_TRUE(same("real/new/deep/a.sock", "link/new/deep/a.sock"));
  EXPECT_FALSE(same("real/new/a.sock", "real/sub/new/a.sock"));
  EXPECT_FALSE(same("real/new/a.sock", "real/new/b.sock"));
}

}  // namespace
}  // namespace hostcall::daemon
