// Descriptors in flight in a carrier: how many, how often, and what is refused.
#include "daemon/handover/carrier.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include "daemon/loop/descriptor_message.h"
#include "daemon/loop/descriptors.h"
#include "proto/base/bytes.h"
#include "proto/base/clock.h"

namespace hostcall::daemon {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kChecksum = 0x12345678;

// Connected streams. Each end writes its number to the other.
struct Pairs {
  explicit Pairs(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      int ends[2];
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
      ours.push_back(UniqueFd::adopt(ends[0]));
      handed.push_back(UniqueFd::adopt(ends[1]));
    }
  }
  std::vector<int> numbers() const {
    std::vector<int> result;
    for (const auto& fd : handed) result.push_back(fd.get());
    return result;
  }
  std::vector<UniqueFd> ours, handed;
};

bool sends(const UniqueFd& from, const UniqueFd& to, std::uint32_t value) {
  std::uint32_t got = 0;
  return ::write(from.get(), &value, sizeof value) == sizeof value &&
         ::recv(to.get(), &got, sizeof got, MSG_DONTWAIT) == sizeof got && got == value;
}

void expect_connected(const std::vector<UniqueFd>& left, const std::vector<UniqueFd>& right) {
  ASSERT_EQ(left.size(), right.size());
  for (std::uint32_t i = 0; i < left.size(); ++i)
    ASSERT_TRUE(sends(left[i], right[i], i) && sends(right[i], left[i], ~i)) << "descriptor " << i;
}

std::string error_of(const Result<std::vector<UniqueFd>>& unloaded) {
  return unloaded.ok() ? "none" : unloaded.error().message();
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (int fd = 0; fd < 4096; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

// A message of a carrier, or something like it.
void put(const UniqueFd& sending, std::uint32_t checksum, std::size_t before, std::size_t count,
         const std::vector<int>& descriptors) {
  std::string bytes;
  for (const auto field : {std::size_t{checksum}, before, count}) append_be32(bytes, static_cast<std::uint32_t>(field));
  iovec piece{bytes.data(), bytes.size()};
  DescriptorRoom<kMaxMessageDescriptors> room;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  put_descriptors(descriptors, room.bytes, message);
  ASSERT_EQ(::sendmsg(sending.get(), &message, 0), 12);
}

TEST(Carrier, CarriesAnyNumber) {
  for (const std::size_t count : {0U, 1U, 252U, 253U, 254U, 506U, 600U}) {
    Pairs pairs(count);
    auto carrier = load_carrier(kChecksum, pairs.numbers());
    ASSERT_TRUE(carrier.ok()) << carrier.error().message();
    pairs.handed.clear();
    carrier->sending.reset();
    const auto unloaded = unload_carrier(carrier->receiving.get(), kChecksum, count);
    ASSERT_EQ(error_of(unloaded), "none") << count;
    expect_connected(pairs.ours, *unloaded);
    for (const auto& fd : *unloaded) ASSERT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  }
}

// The one that fails leaves them in there; after the last attempt they are refused, so that nobody fails for ever.
TEST(Carrier, LetsTwoTry) {
  Pairs pairs(300);
  auto carrier = load_carrier(kChecksum, pairs.numbers());
  pairs.handed.clear();
  carrier->sending.reset();
  const auto before = open_descriptors();
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto unloaded = unload_carrier(carrier->receiving.get(), kChecksum, 300);
    ASSERT_EQ(error_of(unloaded), "none") << attempt;
    expect_connected(pairs.ours, *unloaded);
  }
  EXPECT_EQ(open_descriptors(), before);
  for (int attempt = 0; attempt < 3; ++attempt)
    EXPECT_EQ(error_of(unload_carrier(carrier->receiving.get(), kChecksum, 300)),
              "two daemons have failed to restore it");
}

TEST(Carrier, HoldsTheOnlyCopies) {
  Pairs pairs(1);
  auto carrier = load_carrier(kChecksum, pairs.numbers());
  pairs.handed.clear();
  carrier->sending.reset();
  char byte = 0;
  EXPECT_EQ(::recv(pairs.ours[0].get(), &byte, 1, MSG_DONTWAIT), -1);
  carrier->receiving.reset();
  EXPECT_EQ(::recv(pairs.ours[0].get(), &byte, 1, MSG_DONTWAIT), 0) << "they go with it";
}

TEST(Carrier, WithoutDescriptorsLetsTwoTry) {
  const auto carrier = load_carrier(kChecksum, {});
  for (int attempt = 0; attempt < kAttempts; ++attempt)
    EXPECT_EQ(error_of(unload_carrier(carrier->receiving.get(), kChecksum, 0)), "none");
  EXPECT_EQ(error_of(unload_carrier(carrier->receiving.get(), kChecksum, 0)), "two daemons have failed to restore it");
}

TEST(Carrier, HasExactlyWhatItsStateTells) {
  Pairs pairs(300);
  const auto unload = [&](std::uint32_t checksum, std::size_t told) {
    const auto carrier = load_carrier(kChecksum, pairs.numbers());
    const auto before = open_descriptors();
    const auto error = error_of(unload_carrier(carrier->receiving.get(), checksum, told));
    EXPECT_EQ(open_descriptors(), before) << error;
    return error;
  };
  EXPECT_EQ(unload(kChecksum, 301), "the carrier holds 300 descriptors instead of 301");
  EXPECT_EQ(unload(kChecksum, 299), "the carrier holds more than 299 descriptors");
  EXPECT_EQ(unload(kChecksum, 0), "the carrier holds more than 0 descriptors");
  EXPECT_EQ(unload(kChecksum + 1, 300), "the carrier belongs to another state");
  EXPECT_EQ(unload(kChecksum, 300), "none");
}

// Each sequence of messages, behind a token, that load_carrier() would not make.
TEST(Carrier, RefusesOtherMessages) {
  const Pairs pairs(3);
  const auto numbers = pairs.numbers();
  const std::vector<int> one{numbers[0]}, none;
  struct Row {
    const char* what;
    std::uint32_t checksum;
    std::size_t before, count;
    std::vector<int> descriptors;
    const char* error;
  };
  const Row rows[] = {
      {"another carrier's", 1, 0, 1, one, "the carrier belongs to another state"},
      {"a gap", kChecksum, 1, 1, one, "the carrier's messages are out of order"},
      {"fewer than its label says", kChecksum, 0, 2, one, "no file descriptors are left for the 3 in the carrier"},
      {"more than its label says", kChecksum, 0, 1, numbers, "no file descriptors are left for the 3 in the carrier"},
      {"none", kChecksum, 0, 3, none, "no file descriptors are left for the 3 in the carrier"},
      {"a token with some", kChecksum, 0, 0, one, "no file descriptors are left for the 3 in the carrier"},
      {"too many", kChecksum, 0, 4, numbers, "the carrier holds more than 3 descriptors"},
  };
  for (const auto& row : rows) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    const auto receiving = UniqueFd::adopt(ends[0]), sending = UniqueFd::adopt(ends[1]);
    put(sending, kChecksum, 0, 0, {});
    put(sending, row.checksum, row.before, row.count, row.descriptors);
    const auto before = open_descriptors();
    EXPECT_THAT(error_of(unload_carrier(receiving.get(), kChecksum, 3)), HasSubstr(row.error)) << row.what;
    EXPECT_EQ(open_descriptors(), before) << row.what;
  }
}

TEST(Carrier, RefusesTokensWithoutEnd) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const auto receiving = UniqueFd::adopt(ends[0]), sending = UniqueFd::adopt(ends[1]);
  for (int i = 0; i < kAttempts + 1; ++i) put(sending, kChecksum, 0, 0, {});
  EXPECT_EQ(error_of(unload_carrier(receiving.get(), kChecksum, 0)), "the carrier's messages are out of order");
}

TEST(Carrier, RefusesWhatIsNoCarrier) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const auto receiving = UniqueFd::adopt(ends[0]), sending = UniqueFd::adopt(ends[1]);
  for (const std::string_view bytes : {"x", "eleven byte", "thirteen byte"}) {
    ASSERT_EQ(::send(sending.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    EXPECT_EQ(error_of(unload_carrier(receiving.get(), kChecksum, 0)), "the carrier holds something else") << bytes;
  }
  const auto null = UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_THAT(error_of(unload_carrier(null.get(), kChecksum, 0)), HasSubstr("receive from the carrier: "));
  EXPECT_THAT(error_of(unload_carrier(-1, kChecksum, 0)), HasSubstr("receive from the carrier: "));
}

TEST(Carrier, KnowsWhetherAnybodyHoldsIt) {
  const Pairs pairs(1);
  auto carrier = load_carrier(kChecksum, pairs.numbers());
  auto copy = UniqueFd::adopt(::fcntl(carrier->receiving.get(), F_DUPFD_CLOEXEC, 3));
  EXPECT_TRUE(is_held(carrier->sending));
  carrier->receiving.reset();
  EXPECT_TRUE(is_held(carrier->sending));
  copy.reset();
  EXPECT_FALSE(is_held(carrier->sending));
}

// The kernel then leaves descriptors out (MSG_CTRUNC). Nothing is lost: the next daemon may have more.
TEST(Carrier, TellsWhenTooFewDescriptorsAreLeft) {
  const auto in_child = [] {
    Pairs pairs(300);
    auto carrier = load_carrier(kChecksum, pairs.numbers());
    pairs.handed.clear();
    rlimit limit{}, low{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) std::abort();
    low = limit;
    low.rlim_cur = 400;
    if (::setrlimit(RLIMIT_NOFILE, &low) != 0) std::abort();
    const auto first = error_of(unload_carrier(carrier->receiving.get(), kChecksum, 300));
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) std::abort();
    const auto second = error_of(unload_carrier(carrier->receiving.get(), kChecksum, 300));
    std::fprintf(stderr, "%s, then %s\n", first.c_str(), second.c_str());
    std::exit(0);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(0),
              "no file descriptors are left for the 300 in the carrier; raise LimitNOFILE= of hostcalld.service, then "
              "none");
}

// As many connections as a busy host has, if this user may have them. Both ends of each pair, which must still be
// connected with each other.
TEST(Carrier, CarriesThousands) {
  raise_descriptor_limit();
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const std::size_t pairs = limit.rlim_cur > 10'500 ? 5'000 : 250;
  std::vector<int> numbers;
  Pairs connected(pairs);
  for (const auto* ends : {&connected.ours, &connected.handed})
    for (const auto& fd : *ends) numbers.push_back(fd.get());
  const auto start = Clock::now();
  auto carrier = load_carrier(kChecksum, numbers);
  ASSERT_TRUE(carrier.ok()) << carrier.error().message();
  const auto loaded = Clock::now();
  connected = Pairs(0);
  carrier->sending.reset();
  const auto closed = Clock::now();
  auto unloaded = unload_carrier(carrier->receiving.get(), kChecksum, numbers.size());
  const auto end = Clock::now();
  ASSERT_EQ(error_of(unloaded), "none");
  carrier->receiving.reset();
  const auto gone = Clock::now();
  const auto half = unloaded->begin() + static_cast<std::ptrdiff_t>(pairs);
  expect_connected({std::make_move_iterator(unloaded->begin()), std::make_move_iterator(half)},
                   {std::make_move_iterator(half), std::make_move_iterator(unloaded->end())});
  const auto in_ms = [](Duration time) { return std::chrono::duration<double, std::milli>(time).count(); };
  std::printf("%zu connections: %.1f ms to load, %.1f to close, %.1f to unload, %.1f to drop the carrier\n",
              numbers.size(), in_ms(loaded - start), in_ms(closed - loaded), in_ms(end - closed), in_ms(gone - end));
}

}  // namespace
}  // namespace hostcall::daemon
