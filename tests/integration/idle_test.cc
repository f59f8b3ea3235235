// What an idle connection costs: 10,000 of them over 250 VMs, with heartbeats on, though none is due while they are
// made.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/support/daemon_process.h"
#include "tests/support/sanitized.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

constexpr std::size_t kVms = 250;
constexpr std::size_t kEach = 40;
constexpr std::size_t kMaxKib = 24 * 1024;

TEST(Idle, TenThousandConnectionsFitIntoTwentyFourMebibytes) {
  if (!kShipped) GTEST_SKIP() << "the memory of a sanitizer, or of code that is not optimized, would be measured";
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_max < kVms * kEach + 1000) GTEST_SKIP() << "RLIMIT_NOFILE is " << files.rlim_max;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);

  DaemonOptions options{.vms = {},
                        .config_json = R"("limits": {"connections": 64, "connect_rate": 1000, "connect_burst": 1000})"};
  for (std::size_t i = 0; i < kVms; ++i) options.vms.push_back("vm" + std::to_string(i));
  DaemonProcess daemon(options);
  const auto base = daemon.process().rss_kib();
  std::vector<std::unique_ptr<WireClient>> clients;
  clients.reserve(kVms * kEach);
  for (std::size_t i = 0; i < kVms * kEach; ++i) {
    clients.push_back(std::make_unique<WireClient>(daemon.vm_address(options.vms[i % kVms])));
    clients.back()->hello();
  }
  const auto full = daemon.process().rss_kib();
  std::printf("10,000 connections over 250 VMs: %zu KiB, %zu KiB over the base of %zu KiB, %.2f KiB each\n", full,
              full - base, base, static_cast<double>(full - base) / (kVms * kEach));
  EXPECT_LE(full, kMaxKib);
  EXPECT_EQ(clients.front()->call("hostcall.v1.Session/Ping").status.code, wire::Code::kOk);
}

}  // namespace
}  // namespace hostcall::test
