// Who may use the last descriptors, for limits from tiny to huge.
#include "daemon/loop/descriptors.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>

namespace hostcall::daemon {
namespace {

// The first descriptor for which something is refused.
template <class Allowed>
int first_refused(Allowed allowed) {
  int fd = 0;
  while (allowed(fd)) ++fd;
  return fd;
}

TEST(DescriptorShares, TheLastAreNotForGuests) {
  for (const std::size_t limit : {64u, 256u, 1024u, 65536u}) {
    const DescriptorShares shares(limit);
    const int admitted = first_refused([&](int fd) { return shares.admits(fd); });
    const int answered = first_refused([&](int fd) { return shares.answers(fd); });
    EXPECT_GT(admitted, static_cast<int>(limit) / 2) << limit;
    EXPECT_GE(answered - admitted, 8) << limit << ": some are told that there are none";
    EXPECT_GE(static_cast<int>(limit) - answered, 8) << limit << ": some are the administrator's";
    EXPECT_LE(static_cast<int>(limit) - answered, 64) << limit;
    EXPECT_GE(shares.refused_per_caller(), 1u);
    EXPECT_LE(shares.refused_per_caller() * 16, limit) << "no caller takes them all by being refused";
  }
  EXPECT_FALSE(DescriptorShares(0).answers(3));
}

TEST(DescriptorLimit, IsRaisedAsFarAsMayBe) {
  const auto in_child = [] {
    rlimit limit{64, 0};
    rlimit hard{};
    if (::getrlimit(RLIMIT_NOFILE, &hard) != 0) std::exit(1);
    limit.rlim_max = hard.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) std::exit(2);
    raise_descriptor_limit();
    if (DescriptorShares().limit() != hard.rlim_max) std::exit(3);
    std::exit(0);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace hostcall::daemon
