// What lasts longer than one failed call: no descriptors, no memory, a journald that does not read, a wall clock that
// is set. The daemon serves whom it can, or stops with one line, and has lost nothing.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <vector>

#include "hostcall/v1/host.pb.h"
#include "tests/faults/fault_run.h"
#include "tests/integration/store_guest.h"
#include "tests/support/sanitized.h"

namespace hostcall::test {
namespace {

constexpr char kManyConnections[] =
    R"("limits": {"connections": 1000, "connect_rate": 10000, "connect_burst": 10000, "store_bytes": 1000000000,
                  "store_keys": 100000, "store_write_rate": 100000, "store_write_burst": 100000})";

// From now on the process may have no more than this.
void set_limit(Process& process, __rlimit_resource resource, rlim_t most) {
  const rlimit limit{most, most};
  ASSERT_EQ(::prlimit(process.pid(), resource, &limit, nullptr), 0);
}

std::size_t address_space_bytes(const Process& process) {
  std::ifstream status("/proc/" + std::to_string(process.pid()) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmSize:")) return std::stoul(line.substr(7)) * 1024;
  throw std::runtime_error("no VmSize");
}

// ---------------------------------------------------------------- descriptors

TEST(Resources, WithoutDescriptorsOldConnectionsAreServedAndNewOnesEnd) {
  DaemonProcess daemon({.config_json = kManyConnections});
  Guest early(daemon.vm_address("web1"));
  WireClient neighbour(daemon.vm_address("db1"));
  EXPECT_TRUE(neighbour.call("hostcall.v1.Session/Ping").status.ok());
  constexpr std::size_t kMost = 64;
  set_limit(daemon.process(), RLIMIT_NOFILE, kMost);
  std::vector<std::unique_ptr<WireClient>> crowd;
  for (std::size_t i = 0; i < 2 * kMost; ++i) crowd.push_back(std::make_unique<WireClient>(daemon.vm_address("web1")));
  std::size_t served = 0;
  for (const auto& one : crowd) {
    served += one->call("hostcall.v1.Session/Ping").arrived ? 1 : 0;
    ASSERT_TRUE(!one->closed() || one->wait_for_close());
  }
  EXPECT_GT(served, 0u);
  EXPECT_LT(served, kMost);
  EXPECT_TRUE(early.put("/self/k", "meanwhile").status.ok());
  EXPECT_TRUE(neighbour.call("hostcall.v1.Session/Ping").status.ok());
  crowd.clear();
  EXPECT_TRUE(eventually([&] {
    return WireClient(daemon.vm_address("db1")).call("hostcall.v1.Session/Ping").status.ok();
  })) << "there is room again";
  EXPECT_EQ(early.get("/self/k"), "meanwhile");
  EXPECT_EQ(daemon.stop(), 0) << daemon.process().errors();
}

// ---------------------------------------------------------------- memory

class LittleMemory : public testing::TestWithParam<std::size_t> {};

// Grows a store until the daemon has no memory for it. Whatever it does then, it has what it acknowledged.
TEST_P(LittleMemory, LosesNothingAcknowledged) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer needs address space without end";
  DaemonProcess daemon({.config_json = kManyConnections});
  constexpr std::size_t kValueBytes = 60'000, kMiB = 1024 * 1024;
  const auto most = 32 * kMiB / kValueBytes;  // far more than there is room for
  set_limit(daemon.process(), RLIMIT_AS, address_space_bytes(daemon.process()) + GetParam() * kMiB);
  const auto key = [](std::size_t number) { return "/self/" + std::to_string(number); };
  std::size_t written = 0;
  {
    WireClient web(daemon.vm_address("web1"));
    for (bool goes_on = true; goes_on && written < most;) {
      const auto answer =
          web.call(kStore + std::string("Put"), Guest::put_request(key(written), std::string(kValueBytes, 'm')));
      ASSERT_TRUE(answer.arrived || web.closed()) << "a write hangs";
      goes_on = answer.arrived && answer.status.ok();
      written += goes_on ? 1 : 0;
    }
  }
  EXPECT_LT(written, most) << "the limit was never reached";
  daemon.process().signal(SIGTERM);
  const auto code = daemon.process().wait();
  ASSERT_TRUE(code) << "the shutdown hangs";
  const auto& said = daemon.process().errors();
  std::printf("%zu writes, exit code %d: %s\n", written, *code, said.c_str());
  EXPECT_LT(*code, 128) << "it crashed";
  EXPECT_TRUE(*code == 0 || said.find("hostcalld: ") != std::string::npos) << "it says why";
  daemon.restart();
  Guest web(daemon.vm_address("web1"));
  for (std::size_t i = 0; i < written; ++i) ASSERT_TRUE(web.get(key(i))) << key(i) << " is lost";
  EXPECT_EQ(daemon.stop(), 0);
}

INSTANTIATE_TEST_SUITE_P(Mebibytes, LittleMemory, testing::Values(0, 1, 2, 4, 8),
                         [](const auto& room) { return std::to_string(room.param); });

// ---------------------------------------------------------------- a journald that has stopped

// A socket in place of journald's that nobody reads.
class StoppedJournal {
 public:
  explicit StoppedJournal(const std::string& path) : path_(path), fd_(socket()) {
    const auto address = this->address();
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  const std::string& path() const { return path_; }
  // Leaves no room for a record. How many records that takes is a setting of the kernel (net.unix.max_dgram_qlen), and
  // one sender's memory may hold fewer.
  void fill() const {
    while (sent_by_one() > 0) continue;
  }
  // One record; empty: there is none.
  std::string read() {
    std::array<char, 65536> buffer;
    const auto got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    return {buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
  }

 private:
  static UniqueFd socket() { return UniqueFd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)); }
  sockaddr_un address() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }
  std::size_t sent_by_one() const {
    const auto address = this->address();
    const auto sender = socket();
    std::size_t sent = 0;
    while (::sendto(sender.get(), "", 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address) > 0) ++sent;
    EXPECT_EQ(errno, EAGAIN);
    return sent;
  }

  const std::string path_;
  const UniqueFd fd_;
};

TEST(Resources, AStoppedJournalCostsRecordsAndNothingElse) {
  DaemonProcess daemon({.config_json = kManyConnections + std::string(R"(, "log_level": "debug")"), .starts = false});
  StoppedJournal journal(daemon.directory() / "journal.sock");
  FaultControl control(daemon.directory());
  auto environment = control.environment();
  environment["FAULT_SHIM_JOURNAL"] = journal.path();
  daemon.launch(environment);
  ASSERT_TRUE(eventually([&] { return !journal.read().empty(); })) << "the first records arrive";
  journal.fill();
  // Each connection has a record of its begin and one of its end.
  const auto is_served = [&] {
    return WireClient(daemon.vm_address("web1")).call("hostcall.v1.Session/WhoAmI").status.ok();
  };
  constexpr int kConnections = 20;
  for (int i = 0; i < kConnections; ++i) ASSERT_TRUE(is_served()) << i;
  while (!journal.read().empty()) continue;  // journald goes on
  EXPECT_TRUE(eventually([&] {
    EXPECT_TRUE(is_served());
    for (auto record = journal.read(); !record.empty(); record = journal.read())
      if (record.find("log records were lost") != std::string::npos) return true;
    return false;
  })) << "the loss is reported";
  EXPECT_EQ(daemon.stop(), 0);
}

// ---------------------------------------------------------------- a wall clock that is set

TEST(Resources, ASetClockEndsNothing) {
  DaemonProcess daemon({.timeouts_ms = {{"heartbeat_ms", 10'000}}, .starts = false});
  FaultControl control(daemon.directory());
  daemon.launch(control.environment());
  ASSERT_TRUE(daemon.process().wait_for_error_text("started")) << daemon.process().errors();
  Guest web(daemon.vm_address("web1"));
  const auto watch = web.watch("/self/");
  web.next(watch);
  const auto time_of_host = [&] {
    v1::InfoResponse info;
    EXPECT_TRUE(info.ParseFromString(web.wire.call("hostcall.v1.Host/Info").payload));
    return std::chrono::nanoseconds(info.time_unix_nano());
  };
  const auto begin = time_of_host();
  constexpr std::chrono::hours kYear(365 * 24);
  std::int64_t revision = 0;
  for (const auto offset : {kYear, -kYear, 10 * kYear, std::chrono::hours(0)}) {
    control->clock_offset_ns = std::chrono::nanoseconds(offset).count();
    const auto moved = time_of_host() - begin - offset;
    EXPECT_GE(moved, std::chrono::nanoseconds(0)) << "the daemon's clock is set";
    const auto put = web.put("/self/k", std::to_string(offset.count()), v1::LIFETIME_PERSISTENT,
                             "once " + std::to_string(offset.count()));
    EXPECT_EQ(revision_of(put), ++revision);
    EXPECT_EQ(web.next(watch).revision(), revision) << "the watch goes on";
    const auto again = web.put("/self/k", std::to_string(offset.count()), v1::LIFETIME_PERSISTENT,
                               "once " + std::to_string(offset.count()));
    EXPECT_EQ(revision_of(again), revision) << "the answer is still kept";
    // A deadline is a length of time, and not a time of day.
    const auto late = web.wire.call("hostcall.v1.Diagnostics/Echo", v1::PingRequest(), std::chrono::minutes(5));
    EXPECT_TRUE(late.status.ok()) << late.status.message;
    EXPECT_TRUE(WireClient(daemon.vm_address("db1")).call("hostcall.v1.Session/WhoAmI").status.ok());
  }
  EXPECT_EQ(daemon.stop(), 0) << daemon.process().errors();
}

}  // namespace
}  // namespace hostcall::test
