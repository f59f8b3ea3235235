// services.d as it is now.
#include "daemon/runner/service_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/support/temp_dir.h"

namespace hostcall::daemon {
namespace {

constexpr char kTrue[] = R"({"name": "x", "run": ["/bin/true"]})";
constexpr char kFalse[] = R"({"name": "x", "run": ["/bin/else"]})";

std::string program_of(ServiceCache& cache) {
  const auto service = cache.current().find("x");
  return service == nullptr ? "" : service->program()->command.front();
}

// Of the kernel's clock, for a change that is told by its time.
void wait_for_the_next_tick() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

TEST(ServiceCache, NoticesEachChange) {
  const test::TempDir directory;
  ServiceCache cache({directory / "etc", directory / "lib"});
  EXPECT_EQ(program_of(cache), "");
  directory.write("lib/x.json", kTrue);
  EXPECT_EQ(program_of(cache), "/bin/true");
  // Within one tick of the clock, with the same length.
  directory.write("lib/x.json", kFalse);
  EXPECT_EQ(program_of(cache), "/bin/else");
  directory.write("etc/y.json", kTrue);
  EXPECT_EQ(program_of(cache), "/bin/true") << "the first directory takes precedence";
  std::filesystem::remove(directory / "etc/y.json");
  EXPECT_EQ(program_of(cache), "/bin/else");
}

// The same record: nothing was read again.
TEST(ServiceCache, ReadsAgainOnlyWhatHasJustChanged) {
  const test::TempDir directory;
  directory.write("x.json", kTrue);
  std::time_t clock = ::time(nullptr);
  ServiceCache cache({directory.path()}, [&clock] { return clock; });
  const auto is_read_again = [&cache] {
    const auto before = cache.current().find("x");
    return cache.current().find("x") != before;
  };
  EXPECT_TRUE(is_read_again());
  clock += 3600;
  EXPECT_FALSE(is_read_again());
  wait_for_the_next_tick();
  directory.write("x.json", kFalse);
  EXPECT_EQ(program_of(cache), "/bin/else");
}

TEST(ServiceCache, ReadsAChangeInTheFutureOnce) {
  const test::TempDir directory;
  directory.write("x.json", kTrue);
  ServiceCache cache({directory.path()}, [] { return ::time(nullptr) - 3600; });
  const auto before = cache.current().find("x");
  EXPECT_EQ(cache.current().find("x"), before);
  wait_for_the_next_tick();
  directory.write("x.json", kFalse);
  EXPECT_EQ(program_of(cache), "/bin/else");
}

TEST(ServiceCache, RefusesAFileThatOthersMayChange) {
  const test::TempDir directory;
  const auto file = directory.write("x.json", kTrue);
  ServiceCache cache({directory.path()});
  EXPECT_EQ(program_of(cache), "/bin/true");
  ASSERT_EQ(::chmod(file.c_str(), 0666), 0);
  EXPECT_EQ(program_of(cache), "");
  ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
  EXPECT_EQ(program_of(cache), "/bin/true");
  ASSERT_EQ(::chmod(directory.path().c_str(), 0777), 0);
  EXPECT_EQ(program_of(cache), "");
  ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);
}

}  // namespace
}  // namespace hostcall::daemon
