// Whole files: their bounds, and what is no file.
#include "proto/base/read_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "tests/support/temp_dir.h"

namespace hostcall {
namespace {

std::string error_of(const std::string& path, std::size_t max_bytes, FileKind kind) {
  const auto text = read_file(path, max_bytes, kind);
  return text.ok() ? "" : text.error().message();
}

class ReadFile : public testing::TestWithParam<FileKind> {
 protected:
  const test::TempDir dir_;
};
INSTANTIATE_TEST_SUITE_P(Kinds, ReadFile, testing::Values(FileKind::kAny, FileKind::kRegular));

TEST_P(ReadFile, TakesAllOfIt) {
  for (const std::size_t size : {0u, 1u, 16u * 1024, 16u * 1024 + 1, 100'000u}) {
    const std::string text(size, 'x');
    EXPECT_EQ(read_file(dir_.write("f", text), 100'000, GetParam()).value(), text);
    EXPECT_EQ(read_file(dir_ / "f", SIZE_MAX, GetParam()).value(), text);
  }
  const std::string bytes("\0\xff\n", 3);
  EXPECT_EQ(read_file(dir_.write("f", bytes), 3, GetParam()).value(), bytes);
}

TEST_P(ReadFile, KeepsTheBound) {
  const auto path = dir_.write("f", "abcd");
  EXPECT_EQ(error_of(path, 4, GetParam()), "");
  EXPECT_EQ(error_of(path, 3, GetParam()), path + ": has 4 bytes; at most 3 are read");
  EXPECT_EQ(error_of(path, 0, GetParam()), path + ": has 4 bytes; at most 0 are read");
}

TEST_P(ReadFile, KeepsTheBoundWhereTheKernelTellsNoSize) {
  const std::string path = "/proc/self/status";
  EXPECT_GT(read_file(path, 100'000, GetParam()).value().size(), 100u);
  EXPECT_EQ(error_of(path, 100, GetParam()), path + " is larger than the maximum of 100 bytes");
}

TEST_P(ReadFile, NamesTheFileThatIsMissing) {
  const auto text = read_file(dir_ / "none", 10, GetParam());
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code, ENOENT);
  EXPECT_EQ(text.error().message(), dir_ / "none" + ": cannot be opened: No such file or directory");
}

TEST(ReadFileKind, RefusesWhatIsNotRegularWithoutWaiting) {
  const test::TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(error_of(dir / "fifo", 10, FileKind::kRegular), dir / "fifo" + ": is not a regular file");
  EXPECT_EQ(error_of(dir.path(), 10, FileKind::kRegular), dir.path() + ": is not a regular file");
  EXPECT_EQ(error_of(dir.path(), 10, FileKind::kAny), dir.path() + ": cannot be read: Is a directory");
  EXPECT_EQ(read_file("/dev/null", 10, FileKind::kAny).value(), "");
  EXPECT_EQ(error_of("/dev/zero", 10, FileKind::kAny), "/dev/zero is larger than the maximum of 10 bytes");
}

TEST(ReadFileKind, ReadsAPipeToItsEnd) {
  const test::TempDir dir;
  const auto path = dir / "fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(path) << std::string(200'000, 'x'); });
  EXPECT_EQ(read_file(path, 200'000).value(), std::string(200'000, 'x'));
  writer.join();
}

}  // namespace
}  // namespace hostcall
