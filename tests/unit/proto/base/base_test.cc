// The small things that everything stands on: byte order, buffers, results, descriptors, time.
#include <fcntl.h>
#include <gtest/gtest.h>

#include "proto/base/buffer.h"
#include "proto/base/bytes.h"
#include "proto/base/clock.h"
#include "proto/base/count.h"
#include "proto/base/result.h"
#include "proto/base/unique_fd.h"

namespace hostcall {
namespace {

TEST(Bytes, AreBigEndian) {
  std::string out;
  append_be32(out, 0x01020304);
  EXPECT_EQ(out, std::string("\x01\x02\x03\x04"));
  EXPECT_EQ(load_be32(out.data()), 0x01020304u);
  store_be32(out.data(), 0xFFFFFFFE);
  EXPECT_EQ(load_be32(out.data()), 0xFFFFFFFEu);
}

TEST(Count, HasTheRightNumber) {
  EXPECT_EQ(count(0, "key") + ", " + count(1, "key") + ", " + count(2, "key"), "0 keys, 1 key, 2 keys");
}

TEST(Buffer, GrowsKeepsAndGivesBack) {
  Buffer buffer;
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.capacity(), 0u);
  buffer.append("abc");
  buffer.append({});
  std::memcpy(buffer.extend(3), "def", 3);
  EXPECT_EQ(buffer.view(), "abcdef");
  const auto capacity = buffer.capacity();
  buffer.reserve(1);
  EXPECT_EQ(buffer.capacity(), capacity) << "never shrinks";
  buffer.clear();
  EXPECT_TRUE(buffer.empty());
  EXPECT_EQ(buffer.capacity(), capacity);
  buffer.reset();
  EXPECT_EQ(buffer.capacity(), 0u);
}

TEST(Buffer, MovesItsBytes) {
  Buffer from;
  from.append("abc");
  Buffer to(std::move(from));
  EXPECT_EQ(to.view(), "abc");
  Buffer other;
  other = std::move(to);
  EXPECT_EQ(other.view(), "abc");
}

TEST(Buffer, DoublesSoThatAppendingIsLinear) {
  Buffer buffer;
  int growths = 0;
  for (int i = 0; i < 100'000; ++i) {
    const auto before = buffer.capacity();
    buffer.append("x");
    growths += buffer.capacity() != before;
  }
  EXPECT_LE(growths, 18);
}

Result<int> half(int value) {
  if (value % 2 != 0) return Error{EINVAL, "half of " + std::to_string(value)};
  return value / 2;
}

Result<int> quarter(int value) { return half(HOSTCALL_TRY(half(value))); }

Done check(int value) {
  HOSTCALL_TRY(quarter(value));
  return done();
}

TEST(Result, CarriesValueOrErrorThroughTry) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().what, "half of 3");
  EXPECT_EQ(quarter(6).error().code, EINVAL);
  EXPECT_TRUE(check(4).ok());
  EXPECT_FALSE(check(5));
}

TEST(Result, ErrorsShowTheErrnoTextOnceAndOnlyIfThereIsOne) {
  EXPECT_EQ((Error{ENOENT, "open x"}).message(), "open x: No such file or directory");
  EXPECT_EQ((Error{0, "no errno here"}).message(), "no errno here");
  errno = EACCES;
  EXPECT_EQ(Error::from_errno("bind").code, EACCES);
}

TEST(Result, WithinSaysWhere) {
  EXPECT_EQ(half(3).within("f.json:7").error().message(), "f.json:7: half of 3: Invalid argument");
  EXPECT_EQ(half(8).within("f.json:7").value(), 4);
  EXPECT_EQ(Done(Error{0, "b"}).within("a").within("").error().message(), ": a: b");
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

TEST(UniqueFd, ClosesOnceAndHandsOver) {
  const int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(raw, 0);
  {
    auto first = UniqueFd::adopt(raw);
    UniqueFd second(std::move(first));
    EXPECT_EQ(second.get(), raw);
    first = std::move(second);
    EXPECT_TRUE(first);
    EXPECT_TRUE(is_open(raw));
    auto& same = first;
    first = std::move(same);
    EXPECT_TRUE(is_open(raw)) << "moving to itself keeps it";
    EXPECT_EQ(first.release(), raw);
    EXPECT_FALSE(first);
  }
  EXPECT_TRUE(is_open(raw)) << "released: the caller closes";
  UniqueFd::adopt(raw).reset();
  EXPECT_FALSE(is_open(raw));
}

TEST(Clock, DeadlinesSaturate) {
  const TimePoint now{seconds(5)};
  EXPECT_EQ(deadline_after(now, seconds(2)), TimePoint{seconds(7)});
  EXPECT_EQ(deadline_after(now, Duration::max()), kNever);
  EXPECT_EQ(deadline_after(kNever, seconds(1)), kNever);
}

}  // namespace
}  // namespace hostcall
