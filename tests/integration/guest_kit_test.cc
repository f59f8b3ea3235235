// The guest kit's static hostcall: one file of bounded size that needs nothing around it. That it does what the other
// one does is shown by the tests of the command line (guest_cli_test.cc), which run with it as well.
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>

#include "tests/support/daemon_process.h"
#include "tests/support/process.h"

namespace hostcall::test {
namespace {

// What a guest image can be asked to carry.
// As Debian 12 builds it; the libraries of Debian 13 are larger.
constexpr std::uintmax_t kMaxBytes = (__GNUC__ < 14 ? 4 : 5) * 1024 * 1024;

TEST(GuestKit, HostcallNeedsNoLibrary) {
  const auto readelf = test::run({"/usr/bin/readelf", "--wide", "--program-headers", "--dynamic", program("hostcall")});
  ASSERT_EQ(readelf.code, 0) << readelf.errors;
  EXPECT_NE(readelf.output.find("LOAD"), std::string::npos) << readelf.output;
  for (const auto* sign : {"INTERP", "NEEDED"})
    EXPECT_EQ(readelf.output.find(sign), std::string::npos) << readelf.output;
}

TEST(GuestKit, HostcallIsSmall) {
  const TempDir directory;
  const auto stripped = directory / "hostcall";
  const auto strip = test::run({"/usr/bin/strip", "-o", stripped, program("hostcall")});
  ASSERT_EQ(strip.code, 0) << strip.errors;
  const auto bytes = std::filesystem::file_size(stripped);
  std::cout << "static hostcall, stripped: " << bytes << " bytes of " << kMaxBytes << "\n";
  EXPECT_LE(bytes, kMaxBytes);
}

TEST(GuestKit, HostcallRunsInAnEmptyRoot) {
  const DaemonProcess daemon;
  const auto& root = daemon.directory().path();
  const std::vector<std::string> in_root{"/usr/bin/env", "-i", "unshare", "--map-root-user", "--root=" + root};
  std::filesystem::copy_file(program("hostcall"), root + "/hostcall");
  auto whoami = in_root;
  whoami.insert(whoami.end(), {"/hostcall", "whoami", "-q", "--address", "unix:/web1.sock"});
  const auto run = test::run(whoami);
  if (run.errors.starts_with("unshare: unshare failed")) GTEST_SKIP() << run.errors;
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_EQ(run.output, "web1\n");
}

}  // namespace
}  // namespace hostcall::test
