// Session and Host against what the machine itself says.
#include <gtest/gtest.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "hostcall/v1/host.pb.h"
#include "tests/support/daemon_process.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

using wire::Code;

template <class Response>
Response must(const Answer& answer) {
  EXPECT_TRUE(answer.arrived);
  EXPECT_EQ(answer.status.code, Code::kOk) << answer.status.message;
  Response response;
  EXPECT_TRUE(response.ParseFromString(answer.payload));
  return response;
}

std::int64_t unix_nano() {
  return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::uint64_t meminfo_bytes(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key + ":")) return std::stoull(line.substr(key.size() + 1)) * 1024;
  return 0;
}

TEST(Services, InfoIsTheMachines) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  const auto before = unix_nano();
  const auto info = must<v1::InfoResponse>(client.call("hostcall.v1.Host/Info"));
  const auto after = unix_nano();
  utsname name{};
  ::uname(&name);
  EXPECT_EQ(info.host_name(), name.nodename);
  EXPECT_EQ(info.kernel(), name.release);
  EXPECT_EQ(info.architecture(), name.machine);
  EXPECT_FALSE(info.os().empty());
  EXPECT_EQ(info.protocol(), "hostcall.v1");
  EXPECT_GE(info.time_unix_nano(), before);
  EXPECT_LE(info.time_unix_nano(), after);
  EXPECT_GT(info.uptime_nano(), info.daemon_uptime_nano());
}

TEST(Services, MetricsAreTheMachines) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  const auto metrics = must<v1::MetricsResponse>(client.call("hostcall.v1.Host/Metrics"));
  EXPECT_EQ(metrics.memory_total_bytes(), meminfo_bytes("MemTotal"));
  EXPECT_EQ(metrics.swap_total_bytes(), meminfo_bytes("SwapTotal"));
  EXPECT_GT(metrics.memory_free_bytes(), 0U);
  EXPECT_EQ(metrics.memory_used_bytes(), metrics.memory_total_bytes() - metrics.memory_free_bytes());
  EXPECT_EQ(metrics.cpus_online(), static_cast<std::uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
  EXPECT_GT(metrics.total_cpu_seconds(), 0);
  EXPECT_GT(metrics.idle_cpu_seconds(), 0);
  EXPECT_EQ(metrics.virtualization_vendor(), "KVM");
  // They are read anew, if not at each call.
  auto later = metrics;
  while (later.time_unix_nano() == metrics.time_unix_nano())
    later = must<v1::MetricsResponse>(client.call("hostcall.v1.Host/Metrics"));
  EXPECT_GT(later.time_unix_nano(), metrics.time_unix_nano());
}

TEST(Services, PingReturnsItsPayloadWithinItsLimit) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  v1::PingRequest request;
  request.set_payload(std::string(1024, 'x'));
  EXPECT_EQ(must<v1::PingResponse>(client.call("hostcall.v1.Session/Ping", request)).payload(), request.payload());
  request.set_payload(std::string(1025, 'x'));
  EXPECT_EQ(client.call("hostcall.v1.Session/Ping", request).status.code, Code::kInvalidArgument);
}

TEST(Services, DescriptorsDescribeTheServices) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  const auto set = must<v1::DescriptorsResponse>(client.call("hostcall.v1.Session/Descriptors")).file_descriptor_set();
  for (const char* name : {"ListServices", "InfoRequest", "EchoStream", "hostcall/v1/session.proto"})
    EXPECT_NE(set.find(name), std::string::npos) << name;
}

TEST(Services, HelloComesFirstAndOnce) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  const auto hello = client.hello();
  EXPECT_EQ(hello.features(), wire::kAllFeatures & ~std::uint64_t{wire::kFeatureCrc32c});
  EXPECT_EQ(hello.max_message_bytes(), 256U * 1024);
  EXPECT_EQ(hello.daemon_epoch().size(), 16U);
  EXPECT_EQ(client.call("hostcall.v1.Session/Hello", v1::HelloRequest()).status.code, Code::kFailedPrecondition);
  WireClient plain(daemon.vm_address("web1"));
  EXPECT_EQ(plain.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  EXPECT_EQ(plain.call("hostcall.v1.Session/Hello", v1::HelloRequest()).status.code, Code::kFailedPrecondition);
}

TEST(Services, HelloBoundsItsTexts) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  v1::HelloRequest request;
  request.set_boot_id(std::string(65, 'x'));
  EXPECT_EQ(client.call("hostcall.v1.Session/Hello", request).status.code, Code::kInvalidArgument);
}

TEST(Services, EverythingWorksWithChecksums) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  const auto hello = client.hello("boot-1", 0);
  EXPECT_EQ(hello.features(), wire::kAllFeatures);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
}

TEST(Services, UnknownMethodsAreUnimplemented) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  for (const char* method : {"hostcall.v1.Session/Nope", "nope.Service/Ping", "/", "hostcall.v1.Session/"})
    EXPECT_EQ(client.call(method).status.code, Code::kUnimplemented) << method;
}

}  // namespace
}  // namespace hostcall::test
