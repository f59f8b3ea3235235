// What a script in a guest waits for: `hostcall whoami` as a whole process, from start to exit. Its time is a row of
// the benchmarks; here it must not take much more than the same program takes to start, print its version and exit.
#include <gtest/gtest.h>

#include "tests/support/compare_times.h"
#include "tests/support/daemon_process.h"

namespace hostcall::test {
namespace {

Nanoseconds time_of_program(const std::vector<std::string>& argv) {
  return time_of([&] {
    const auto finished = run(argv);
    EXPECT_EQ(finished.code, 0) << finished.errors;
  });
}

TEST(WhoamiTime, ACallAddsLittleToTheProgramsOwnStart) {
  DaemonProcess daemon({.config_json = R"("limits": {"connect_rate": 1000, "connect_burst": 1000})"});
  const std::vector<std::string> whoami{program("hostcall"), "--address", daemon.vm_address("web1"), "whoami"};
  const std::vector<std::string> version{program("hostcall"), "--version"};
  EXPECT_TRUE(takes_at_most(
      3, [&] { return time_of_program(whoami); }, [&] { return time_of_program(version); }));
}

}  // namespace
}  // namespace hostcall::test
