// Host: what /proc of a made-up root says, and the machine's own names.
#include "daemon/services/host_service.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>

#include "hostcall/v1/host.hostcall.h"
#include "tests/unit/daemon/services/fixture.h"

namespace hostcall::daemon {
namespace {

using v1::Host::Info;
using v1::Host::Metrics;

constexpr char kName[] = "Testix 1.0";

class HostServiceTest : public test::ServicesFixture {
 protected:
  void serve_root(bool with_name) {
    if (with_name)
      rig_.directory.write("root/etc/os-release", "ID=testix\nPRETTY_NAME=\"" + std::string(kName) + "\"\n");
    serve_root();
  }

  void serve_root() {
    rig_.directory.write("root/proc/meminfo",
                         "MemTotal: 100 kB\nMemFree: 40 kB\nMemAvailable: 60 kB\n"
                         "SwapTotal: 8 kB\nSwapFree: 3 kB\n");
    rig_.directory.write("root/proc/loadavg", "0.50 1.25 2.00 1/100 1234\n");
    rig_.directory.write("root/proc/stat", "cpu  100 0 200 300 400 0 0 500 0 0\n");
    rig_.directory.write("root/proc/vmstat", "pgpgin 7\npgpgout 9\n");
    register_host_service(rig_.router, {.daemon_started = rig_.reactor.now(), .root = rig_.directory / "root"});
    rig_.start();
  }
};

TEST_F(HostServiceTest, TellsNamesAndTimes) {
  serve_root(true);
  const auto caller = peer("web1");
  advance(seconds(3));
  const auto info = must<Info>(*caller);
  utsname name{};
  ::uname(&name);
  EXPECT_EQ(info.host_name(), name.nodename);
  EXPECT_EQ(info.kernel(), name.release);
  EXPECT_EQ(info.architecture(), name.machine);
  EXPECT_EQ(info.os(), kName);
  EXPECT_EQ(info.hostcall_version(), HOSTCALL_VERSION);
  EXPECT_EQ(info.protocol(), "hostcall.v1");
  EXPECT_EQ(info.virtualization_vendor(), "KVM");
  EXPECT_EQ(info.daemon_uptime_nano(), 3'000'000'000u) << "by the reactor's time";
  EXPECT_GT(info.time_unix_nano(), 1'700'000'000'000'000'000) << "the wall clock's, not the reactor's";
  EXPECT_GT(info.uptime_nano(), 0u);
}

TEST_F(HostServiceTest, AHostWithoutANameIsLinux) {
  serve_root(false);
  const auto caller = peer("web1");
  EXPECT_EQ(must<Info>(*caller).os(), "Linux");
}

TEST_F(HostServiceTest, ANameThatIsNotUtf8IsReplaced) {
  rig_.directory.write("root/etc/os-release", "PRETTY_NAME=\"Caf\xe9 Linux\"\r\n");
  serve_root();
  const auto caller = peer("web1");
  EXPECT_EQ(must<Info>(*caller).os(), "Caf\uFFFD Linux");
  EXPECT_TRUE(must<Metrics>(*caller).host_system().starts_with("Caf\uFFFD Linux, ")) << "metrics name it too";
}

TEST_F(HostServiceTest, TheVendorsFileServesIfTheAdministratorsIsMissing) {
  rig_.directory.write("root/usr/lib/os-release", "PRETTY_NAME=Vendor\n");
  serve_root();
  EXPECT_EQ(must<Info>(*peer("web1")).os(), "Vendor");
}

TEST_F(HostServiceTest, MetricsAreReadAtMostTenTimesASecond) {
  serve_root(true);
  const auto caller = peer("web1");
  const auto metrics = must<Metrics>(*caller);
  const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  utsname name{};
  ::uname(&name);
  EXPECT_EQ(metrics.host_name(), name.nodename);
  EXPECT_EQ(metrics.host_system(), std::string(kName) + ", Linux " + name.release);
  EXPECT_EQ(metrics.virtualization_vendor(), "KVM");
  EXPECT_EQ(metrics.cpus_online(), static_cast<std::uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
  EXPECT_EQ(metrics.memory_used_bytes(), 60u * 1024);
  EXPECT_EQ(metrics.swap_used_bytes(), 5u * 1024);
  EXPECT_DOUBLE_EQ(metrics.load_5m(), 1.25);
  EXPECT_DOUBLE_EQ(metrics.total_cpu_seconds(), 300 / ticks);
  EXPECT_DOUBLE_EQ(metrics.idle_cpu_seconds(), 700 / ticks);
  EXPECT_DOUBLE_EQ(metrics.steal_cpu_seconds(), 500 / ticks);
  EXPECT_EQ(metrics.paged_out_bytes(), 9u * 1024);
  EXPECT_GT(metrics.time_unix_nano(), 0);
  rig_.directory.write("root/proc/loadavg", "0.50 4.00 2.00 1/100 1234\n");
  advance(milliseconds(99));
  EXPECT_EQ(must<Metrics>(*caller).SerializeAsString(), metrics.SerializeAsString()) << "time included";
  advance(milliseconds(1));
  EXPECT_DOUBLE_EQ(must<Metrics>(*caller).load_5m(), 4.0);
}

TEST_F(HostServiceTest, WithoutAFileThereAreNoMetrics) {
  serve_root(true);
  const auto caller = peer("web1");
  for (const auto* file : {"meminfo", "loadavg", "stat", "vmstat"}) {
    const auto path = rig_.directory / ("root/proc/" + std::string(file));
    std::filesystem::rename(path, path + ".away");
    const auto status = call<Metrics>(*caller).status;
    expect_refused(status, Code::kUnavailable, "the host can't read its metrics: " + path);
    EXPECT_THAT(status.message, testing::HasSubstr("No such file"));
    std::filesystem::rename(path + ".away", path);
    EXPECT_FALSE(call<Metrics>(*caller).status.ok()) << "a failure is kept as long";
    advance(milliseconds(100));
    EXPECT_TRUE(call<Metrics>(*caller).status.ok());
    advance(milliseconds(100));
  }
}

}  // namespace
}  // namespace hostcall::daemon
