// Who could change what the daemon reads: owners, modes, links, sticky directories.
#include "daemon/config/trusted_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "daemon/config/json_file.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/config_error.h"

namespace hostcall::daemon {
namespace {

using test::error_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string refusal(const std::string& path) {
  const auto checked = check_trusted(path);
  return checked.ok() ? "trusted" : checked.error().message();
}

class TrustedPathTest : public ::testing::Test {
 protected:
  void mode(const std::string& name, mode_t mode) { ASSERT_EQ(::chmod((dir_ / name).c_str(), mode), 0); }

  test::TempDir dir_;  // in /tmp, which is sticky
  const std::string file_ = dir_.write("etc/policy.d/a.json", "{}");
};

TEST_F(TrustedPathTest, AcceptsWhatOnlyThisUserCanChange) {
  EXPECT_EQ(refusal(file_), "trusted");
  EXPECT_EQ(refusal("/etc/passwd"), "trusted");
  EXPECT_EQ(refusal("/"), "trusted");
  EXPECT_EQ(refusal(dir_ / "etc/../etc/./policy.d//a.json"), "trusted");
}

TEST_F(TrustedPathTest, LeavesWhatIsMissingToWhoReadsIt) {
  EXPECT_EQ(refusal(dir_ / "missing/x.json"), "trusted");
  EXPECT_THAT(error_of([&] { JsonValue::read(dir_ / "missing/x.json"); }), HasSubstr("No such file or directory"));
}

TEST_F(TrustedPathTest, NamesOwnerModeAndRemedy) {
  mode("etc/policy.d/a.json", 0664);
  EXPECT_THAT(refusal(file_), AllOf(StartsWith(file_ + " belongs to uid " + std::to_string(::getuid()) +
                                               " and has mode 0664, so others than root"),
                                    HasSubstr("; chmod go-w " + file_)));
  mode("etc/policy.d/a.json", 0642);
  EXPECT_THAT(refusal(file_), HasSubstr("has mode 0642"));
}

TEST_F(TrustedPathTest, EveryDirectoryOnTheWayCounts) {
  for (const auto* name : {"etc", "etc/policy.d"})
    for (const mode_t bits : {0775u, 0757u, 0777u}) {
      mode(name, bits);
      EXPECT_THAT(refusal(file_), StartsWith(dir_ / name + " belongs to uid ")) << bits;
      mode(name, 01777);
      EXPECT_EQ(refusal(file_), "trusted") << "nobody can replace what is ours in a sticky directory";
      mode(name, 0755);
    }
}

TEST_F(TrustedPathTest, ALinkIsFollowedWithAllThatItGoesThrough) {
  std::filesystem::create_directory(dir_ / "open");
  std::filesystem::create_symlink(file_, dir_ / "open/link.json");
  std::filesystem::create_symlink("../open/link.json", dir_ / "etc/second.json");
  EXPECT_EQ(refusal(dir_ / "etc/second.json"), "trusted");
  mode("open", 0777);
  EXPECT_THAT(refusal(dir_ / "etc/second.json"), StartsWith(dir_ / "open belongs to uid "));
  mode("open", 0755);
  mode("etc/policy.d/a.json", 0666);
  EXPECT_THAT(refusal(dir_ / "etc/second.json"), StartsWith(file_ + " belongs to uid "));
}

// Its mode is right as it is.
TEST_F(TrustedPathTest, NobodyIsToldToChangeTheModeOfADevice) {
  std::filesystem::create_symlink("/dev/null", dir_ / "etc/mask.json");
  EXPECT_THAT(refusal(dir_ / "etc/mask.json"),
              StartsWith("/dev/null is not a regular file; to hide a file of this name"));
}

TEST_F(TrustedPathTest, LinksInACircleEnd) {
  std::filesystem::create_symlink("b", dir_ / "a");
  std::filesystem::create_symlink("a", dir_ / "b");
  EXPECT_EQ(refusal(dir_ / "a"), "trusted") << "the kernel refuses to open it";
}

TEST_F(TrustedPathTest, FilesAndLinksOfOthersAreRefusedAlsoInAStickyDirectory) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can give files away";
  ASSERT_EQ(::chown(file_.c_str(), 4242, static_cast<gid_t>(-1)), 0);
  EXPECT_THAT(refusal(file_), AllOf(StartsWith(file_ + " belongs to uid 4242"), HasSubstr("chown -h root " + file_)));
  mode("etc/policy.d", 01777);
  EXPECT_THAT(refusal(file_), StartsWith(file_ + " belongs to uid 4242"));
  std::filesystem::create_symlink("/etc/passwd", dir_ / "link");
  ASSERT_EQ(::lchown((dir_ / "link").c_str(), 4242, static_cast<gid_t>(-1)), 0);
  EXPECT_THAT(refusal(dir_ / "link"), StartsWith(dir_ / "link belongs to uid 4242"));
}

TEST_F(TrustedPathTest, ConfigurationOfOthersIsNotRead) {
  EXPECT_EQ(json_files(dir_ / "etc/policy.d").size(), 1u);
  mode("etc/policy.d", 0777);
  EXPECT_THAT(error_of([&] { json_files(dir_ / "etc/policy.d"); }), HasSubstr("chmod go-w " + dir_ / "etc/policy.d"));
  EXPECT_THAT(error_of([&] { JsonValue::read(file_); }), StartsWith(file_ + ": " + dir_ / "etc/policy.d belongs to"));
}

}  // namespace
}  // namespace hostcall::daemon
