// The state file, byte by byte, and each way in which it can be wrong.
#include "daemon/handover/state_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/base/bytes.h"
#include "proto/wire/crc32c.h"

namespace hostcall::daemon {
namespace {

constexpr int kAllSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

std::string contents(int file) {
  std::string bytes(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)), '\0');
  EXPECT_EQ(::pread(file, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

UniqueFd file_with(std::string_view bytes, int seals = kAllSeals) {
  auto file = UniqueFd::adopt(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(::fcntl(file.get(), F_ADD_SEALS, seals), 0);
  return file;
}

std::string error_of(const UniqueFd& file) {
  const auto read = read_state(file.get());
  return read.ok() ? "none" : read.error().message();
}

std::string written(std::string_view state, std::size_t descriptors) {
  return contents(write_state(state, descriptors)->file.get());
}

// With the checksum that fits.
std::string with_field(std::string bytes, std::size_t at, std::uint32_t value) {
  store_be32(&bytes[at], value);
  store_be32(&bytes[20], wire::crc32c(wire::crc32c(0, bytes.substr(0, 20)), bytes.substr(24)));
  return bytes;
}

TEST(StateFile, HasTheseBytes) {
  const auto file = write_state("state", 258);
  ASSERT_TRUE(file.ok());
  const std::string golden(
      "HCST"
      "\0\0\0\1"
      "\0\0\0\1"
      "\0\0\1\2"
      "\0\0\0\5"
      "\x1b\xaf\xd0\x9d"
      "state",
      29);
  EXPECT_EQ(contents(file->file.get()), golden);
  EXPECT_EQ(file->checksum, 0x1bafd09dU);
  EXPECT_EQ(::fcntl(file->file.get(), F_GET_SEALS) & kAllSeals, kAllSeals);
  EXPECT_NE(::fcntl(file->file.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(StateFile, IsReadAsItWasWritten) {
  for (const std::size_t size : {0U, 1U, 70'000U, 5'000'000U}) {
    const std::string state(size, 's');
    const auto file = write_state(state, size / 100);
    for (int again = 0; again < 2; ++again) {
      const auto read = read_state(file->file.get());
      ASSERT_TRUE(read.ok()) << read.error().message();
      EXPECT_EQ(read->state, state);
      EXPECT_EQ(read->descriptors, size / 100);
      EXPECT_EQ(read->checksum, file->checksum);
    }
  }
}

TEST(StateFile, IsRefusedAtEachLengthButItsOwn) {
  const auto good = written("some state", 3);
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_NE(error_of(file_with(good.substr(0, size))), "none");
  EXPECT_EQ(error_of(file_with(good.substr(0, 23))), "the state ends within its header");
  EXPECT_EQ(error_of(file_with(good.substr(0, 30))), "the state has 6 bytes; its header says 10");
  EXPECT_EQ(error_of(file_with(good + "x")), "the state has 11 bytes; its header says 10");
  EXPECT_EQ(error_of(file_with(good)), "none");
}

TEST(StateFile, IsRefusedWithEachBitTurned) {
  const auto good = written("some state", 3);
  for (std::size_t at = 0; at < good.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 1 << bit);
      EXPECT_NE(error_of(file_with(bad)), "none") << "byte " << at << " bit " << bit;
    }
}

TEST(StateFile, OfALaterVersionIsReadIfItsLowestIsKnown) {
  const auto good = written("some state", 3);
  EXPECT_EQ(error_of(file_with(with_field(good, 4, 7))), "none");
  EXPECT_EQ(error_of(file_with(with_field(with_field(good, 4, 7), 8, 2))),
            "the state has version 7, which needs a build that knows version 2; this one knows 1");
}

TEST(StateFile, IsBounded) {
  const auto good = written("some state", 3);
  EXPECT_EQ(error_of(file_with(with_field(good, 12, 0xffffffff))),
            "the state names 4294967295 descriptors; the most are 1048576");
  EXPECT_EQ(error_of(file_with(with_field(good, 16, 0xffffffff))),
            "the state has 10 bytes; its header says 4294967295");
  const std::string_view large(good.data(), kMaxStateBytes + 1);  // never looked at
  EXPECT_EQ(write_state(large, 0).error().message(), "the state has 1073741825 bytes; the most are 1073741824");
  EXPECT_EQ(write_state("", kMaxHandedOver + 1).error().message(),
            "1048577 descriptors to hand over; the most are 1048576");
  // Takes no memory: it is a hole.
  const auto sparse = UniqueFd::adopt(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(sparse.get(), off_t{1} << 40), 0);
  ASSERT_EQ(::fcntl(sparse.get(), F_ADD_SEALS, kAllSeals), 0);
  EXPECT_EQ(error_of(sparse), "the state has 1099511627776 bytes; the most are 1073741824");
}

// Otherwise somebody could change it between the check and the reading.
TEST(StateFile, IsRefusedWithoutEachSeal) {
  const auto good = written("some state", 3);
  for (const int missing : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_SEAL})
    EXPECT_EQ(error_of(file_with(good, kAllSeals & ~missing)), "the state is not sealed");
}

TEST(StateFile, IsNoOtherFile) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const auto read_end = UniqueFd::adopt(ends[0]), write_end = UniqueFd::adopt(ends[1]);
  EXPECT_TRUE(error_of(read_end).starts_with("the state is no file in memory: "));
  const auto closed = read_state(-1);
  EXPECT_FALSE(closed.ok());
}

}  // namespace
}  // namespace hostcall::daemon
