// HeapTrim: what was freed goes back to the kernel, by a time that the test moves.
#include "daemon/loop/heap_trim.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/manual_time.h"
#include "tests/support/sanitized.h"

namespace hostcall::daemon {
namespace {

std::size_t resident_bytes() {
  std::size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

constexpr std::size_t kMiB = 1024 * 1024;

class HeapTrimTest : public testing::Test {
 protected:
  void SetUp() override {
    if (hostcall::test::kSanitized) GTEST_SKIP() << "the heap is the sanitizer's, which keeps what is freed";
  }
  void advance(Duration time) {
    time_.advance(time);
    reactor_.run_ready();
  }
  // Uses so much memory in small blocks, of which one stays at the end of the heap.
  std::unique_ptr<std::string> use(std::size_t bytes) {
    std::vector<std::unique_ptr<std::string>> blocks;
    for (std::size_t used = 0; used < bytes; used += 1000) blocks.push_back(std::make_unique<std::string>(1000, 'x'));
    return std::make_unique<std::string>(1000, 'y');
  }

  hostcall::test::ManualTime time_;
  Reactor reactor_{time_};
  HeapTrim trim_{reactor_};
};

TEST_F(HeapTrimTest, FreedMemoryGoesBackHalfASecondLater) {
  const auto before = resident_bytes();
  const auto kept = use(64 * kMiB);
  trim_.note(64 * kMiB);
  EXPECT_GT(resident_bytes(), before + 32 * kMiB) << "the block at the end keeps it";
  advance(milliseconds(500));
  EXPECT_LT(resident_bytes(), before + 4 * kMiB);
}

TEST_F(HeapTrimTest, LittleUseDoesNotWakeTheReactor) {
  trim_.note(HeapTrim::kWorthBytes - 1);
  const auto kept = use(64 * kMiB);
  const auto held = resident_bytes();
  advance(seconds(10));
  EXPECT_GE(resident_bytes() + kMiB, held);
  trim_.note(1);
  advance(seconds(1));
  EXPECT_LE(resident_bytes(), held);
}

}  // namespace
}  // namespace hostcall::daemon
