// Files replaced as a whole, and what stays when that fails.
#include "proto/base/write_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "proto/base/unique_fd.h"
#include "tests/support/contents.h"
#include "tests/support/temp_dir.h"

namespace hostcall {
namespace {

using test::contents_of;

TEST(WriteAll, WritesEverything) {
  const test::TempDir dir;
  const auto fd = UniqueFd::adopt(::open((dir / "f").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  const std::string bytes(300'000, 'x');
  EXPECT_TRUE(write_all(fd.get(), bytes).ok());
  EXPECT_TRUE(write_all(fd.get(), "").ok());
  EXPECT_EQ(contents_of(dir / "f"), bytes);
  EXPECT_EQ(write_all(-1, "x").error().code, EBADF);
}

TEST(ReplaceFile, MakesOneAndReplacesIt) {
  const test::TempDir dir;
  const auto path = dir / "f";
  ASSERT_TRUE(replace_file(path, "one", 0600).ok());
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(contents_of(path), "one");
  ASSERT_TRUE(replace_file(path, "two", 0600).ok());
  EXPECT_EQ(contents_of(path), "two");
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST(ReplaceFile, TakesOverWhatACrashLeft) {
  const test::TempDir dir;
  dir.write("f.new", "half of something that was longer");
  ASSERT_TRUE(replace_file(dir / "f", "whole", 0600).ok());
  EXPECT_EQ(contents_of(dir / "f"), "whole");
}

TEST(ReplaceFile, WritesThroughNoLink) {
  const test::TempDir dir;
  const auto victim = dir.write("victim", "untouched");
  std::filesystem::create_symlink(victim, dir / "f.new");
  EXPECT_EQ(replace_file(dir / "f", "x", 0600).error().code, ELOOP);
  EXPECT_EQ(contents_of(victim), "untouched");
  std::filesystem::remove(dir / "f.new");  // what is not its own stays
  std::filesystem::create_symlink(victim, dir / "f");
  ASSERT_TRUE(replace_file(dir / "f", "x", 0600).ok());
  EXPECT_EQ(contents_of(victim), "untouched") << "the link is replaced, not what it names";
  EXPECT_EQ(contents_of(dir / "f"), "x");
}

TEST(ReplaceFile, WhatFailsLeavesNothing) {
  const test::TempDir dir;
  EXPECT_EQ(replace_file(dir / "none/f", "x", 0600).error().message(),
            "create " + (dir / "none/f.new") + ": No such file or directory");
  std::filesystem::create_directory(dir / "f");
  EXPECT_EQ(replace_file(dir / "f", "x", 0600).error().what, "rename to " + (dir / "f"));
  EXPECT_FALSE(std::filesystem::exists(dir / "f.new"));
  EXPECT_EQ(replace_file("/dev/full/f", "x", 0600).error().code, ENOTDIR);
}

TEST(MoveIntoPlace, SyncsWhatItNames) {
  const test::TempDir dir;
  const auto from = dir.write("unfinished", "x");
  const auto fd = UniqueFd::adopt(::open(from.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(move_into_place(-1, from, dir / "f").error().message(), "sync " + from + ": Bad file descriptor");
  ASSERT_TRUE(move_into_place(fd.get(), from, dir / "f").ok());
  EXPECT_EQ(contents_of(dir / "f"), "x");
}

TEST(MoveIntoPlace, TakesANameWithoutADirectory) {
  const test::TempDir dir;
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  const auto replaced = replace_file("f", "x", 0600);
  std::filesystem::current_path(here);
  EXPECT_TRUE(replaced.ok());
  EXPECT_EQ(contents_of(dir / "f"), "x");
}

}  // namespace
}  // namespace hostcall
