// Every limit of a VM: what is over it is refused with its name, others are not affected, and all charges are given
// back (a daemon whose balance is not zero at the end aborts instead of exiting with 0).
#include <gtest/gtest.h>

#include <sys/socket.h>

#include "hostcall/v1/diagnostics.pb.h"
#include "tests/support/admin.h"
#include "tests/support/daemon_process.h"
#include "tests/support/frames.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

using wire::Code;

std::string echo_request(std::size_t bytes, std::uint32_t delay_ms = 0) {
  v1::EchoRequest request;
  request.set_payload(std::string(bytes, 'x'));
  request.set_delay_ms(delay_ms);
  return request.SerializeAsString();
}

void expect_limit(const Answer& answer, const std::string& limit) {
  ASSERT_TRUE(answer.arrived);
  EXPECT_EQ(answer.status.code, Code::kResourceExhausted) << answer.status.message;
  EXPECT_NE(answer.status.message.find(limit), std::string::npos) << answer.status.message;
  EXPECT_NE(answer.status.message.find("web1"), std::string::npos) << answer.status.message;
}

TEST(Limits, Connections) {
  DaemonProcess daemon({.config_json = R"("limits": {"connections": 3, "connect_rate": 1000, "connect_burst": 1000})"});
  std::vector<std::unique_ptr<WireClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<WireClient>(daemon.vm_address("web1")));
    EXPECT_EQ(clients.back()->call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  }
  WireClient over(daemon.vm_address("web1"));
  expect_limit(over.call("hostcall.v1.Session/Ping"), "connections (3)");
  EXPECT_TRUE(over.wait_for_close());
  WireClient other(daemon.vm_address("db1"));
  EXPECT_EQ(other.call("hostcall.v1.Session/Ping").status.code, Code::kOk) << "another VM has its own limit";
  EXPECT_TRUE(daemon.process().wait_for_error_text("connections (3)")) << "the journal names the limit";
  clients.clear();
  // The places are free again as soon as the daemon has seen the ends.
  EXPECT_TRUE(eventually([&] {
    const auto answer = WireClient(daemon.vm_address("web1")).call("hostcall.v1.Session/Ping");
    return answer.arrived && answer.status.ok();
  }));
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Limits, ConnectRate) {
  DaemonProcess daemon({.config_json = R"("limits": {"connect_rate": 1, "connect_burst": 5})"});
  const auto begin = std::chrono::steady_clock::now();
  int allowed = 0;
  for (int refused = 0; refused < 3;) {
    const auto answer = WireClient(daemon.vm_address("web1")).call("hostcall.v1.Session/Ping");
    if (answer.arrived && answer.status.ok()) {
      // Five, and one more for each second that has begun.
      const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
      ASSERT_LE(++allowed, 5 + passed.count());
      continue;
    }
    ++refused;
    EXPECT_GE(allowed, 5);
    expect_limit(answer, "connect_rate");
    EXPECT_GT(answer.status.retry_after, Duration::zero());
    EXPECT_LE(answer.status.retry_after, seconds(1));
  }
}

TEST(Limits, StreamsAreTheVmsOnAllConnections) {
  DaemonProcess daemon({.config_json = R"("limits": {"streams": 4})", .timeouts_ms = {{"drain_ms", 100}}});
  WireClient first(daemon.vm_address("web1")), second(daemon.vm_address("web1"));
  first.hello();
  std::vector<std::uint32_t> open;
  for (int i = 0; i < 4; ++i) open.push_back(first.start("hostcall.v1.Diagnostics/Echo", echo_request(10, 60'000)));
  EXPECT_TRUE(eventually([&] { return vm_state(daemon, "web1").streams() == 4; }));
  expect_limit(second.call("hostcall.v1.Session/Ping"), "streams (4)");
  first.cancel(open[0]);
  EXPECT_TRUE(eventually([&] { return vm_state(daemon, "web1").streams() == 3; }));
  EXPECT_EQ(second.call("hostcall.v1.Session/Ping").status.code, Code::kOk) << "a cancelled call gives its place back";
  EXPECT_EQ(counter(daemon, "calls_limited"), 1U);
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Limits, AMessageOverTheLimitEndsItsCallOnly) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  client.hello();
  const auto large = client.start("hostcall.v1.Diagnostics/Echo", echo_request(1'000'000));
  const auto small = client.start("hostcall.v1.Diagnostics/Echo", echo_request(10));
  expect_limit(client.finish(large), "message_bytes (262144)");
  EXPECT_EQ(client.finish(small).status.code, Code::kOk);

  const auto stream = client.start("hostcall.v1.Diagnostics/Sink", "", wire::Shape::kClientStream);
  v1::Chunk chunk;
  chunk.set_data(std::string(500'000, 'x'));
  client.send(stream, chunk);
  expect_limit(client.finish(stream), "message_bytes (262144)");
  EXPECT_EQ(client.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Limits, AVmsOwnLimitsGoBeforeTheConfigured) {
  DaemonProcess daemon({.vms_json = R"({"vms": [{"name": "web1", "unix_path": "@DIR@/web1.sock",
                                       "limits": {"message_bytes": 8192}}, {"name": "db1", "unix_path": "@DIR@/db1.sock"}]})"});
  WireClient web1(daemon.vm_address("web1")), db1(daemon.vm_address("db1"));
  EXPECT_EQ(web1.hello().max_message_bytes(), 8192U);
  expect_limit(web1.finish(web1.start("hostcall.v1.Diagnostics/Echo", echo_request(9000))), "message_bytes (8192)");
  EXPECT_EQ(db1.finish(db1.start("hostcall.v1.Diagnostics/Echo", echo_request(9000))).status.code, Code::kOk);
}

TEST(Limits, MemoryHeldForAVmIsBounded) {
  // Four delayed echoes of 200 KB fit into 1 MiB, a sixth does not.
  DaemonProcess daemon({.config_json = R"("limits": {"memory_bytes": 1048576})", .timeouts_ms = {{"drain_ms", 100}}});
  WireClient client(daemon.vm_address("web1"));
  client.hello();
  for (int i = 0; i < 4; ++i) client.start("hostcall.v1.Diagnostics/Echo", echo_request(200'000, 60'000));
  EXPECT_TRUE(eventually([&] {
    client.pump(std::chrono::milliseconds(1));
    return vm_state(daemon, "web1").streams() == 4;
  }));
  EXPECT_GE(vm_state(daemon, "web1").memory_bytes(), 800'000U);
  Answer answer;
  // One that comes in several reads counts twice while it is handed on: the fifth may be refused, and tried again.
  for (int i = 0; i < 50; ++i) {
    const auto over = client.start("hostcall.v1.Diagnostics/Echo", echo_request(200'000, 1));
    answer = client.finish(over);
    if (!answer.status.ok()) break;
    client.start("hostcall.v1.Diagnostics/Echo", echo_request(200'000, 60'000));
  }
  expect_limit(answer, "memory_bytes");
  WireClient other(daemon.vm_address("db1"));
  EXPECT_EQ(other.finish(other.start("hostcall.v1.Diagnostics/Echo", echo_request(200'000))).status.code, Code::kOk);
  EXPECT_EQ(daemon.stop(), 0);
}

// A client that pipelines large replies and reads them late gets every one of them: the daemon stops reading instead.
TEST(Limits, ALateReaderGetsEveryReply) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  std::vector<std::uint32_t> calls;
  for (int i = 0; i < 60; ++i) {
    calls.push_back(client.start("hostcall.v1.Diagnostics/Echo", echo_request(20'000)));
  }
  for (const auto call : calls) {
    const auto answer = client.finish(call);
    ASSERT_TRUE(answer.arrived);
    EXPECT_EQ(answer.status.code, Code::kOk) << answer.status.message;
  }
  EXPECT_EQ(daemon.stop(), 0);
}

// One that never reads costs at most its limits, and nobody else notices.
TEST(Limits, ANeverReaderIsBounded) {
  DaemonProcess daemon;
  WireClient deaf(daemon.vm_address("web1"));
  const auto before = daemon.process().rss_kib();
  // Until the daemon has stopped reading and the socket is full.
  std::string flood;
  for (std::uint32_t id = 1; id < 60'000; id += 2)
    flood += request_frame(id, {.service = "hostcall.v1.Session", .method = "Descriptors"});
  const auto sent = ::send(deaf.fd(), flood.data(), flood.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  EXPECT_GT(sent, 0);
  WireClient other(daemon.vm_address("db1"));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(other.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  const auto used = vm_state(daemon, "web1").memory_bytes();
  EXPECT_LT(used, 1'500'000U);
  const auto grown = daemon.process().rss_kib() - before;
  std::printf("a client that never reads holds %zu bytes; the daemon grew by %zu KiB\n", static_cast<std::size_t>(used),
              grown);
  EXPECT_LT(grown, 16U * 1024);
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Limits, MaxConnectionsOfTheHost) {
  DaemonProcess daemon({.config_json = R"("max_connections": 3)"});
  std::vector<std::unique_ptr<WireClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<WireClient>(daemon.vm_address("web1")));
    clients.back()->call("hostcall.v1.Session/Ping");
  }
  WireClient over(daemon.vm_address("db1"));
  const auto answer = over.call("hostcall.v1.Session/Ping");
  EXPECT_EQ(answer.status.code, Code::kResourceExhausted);
  EXPECT_NE(answer.status.message.find("max_connections (3)"), std::string::npos) << answer.status.message;
}

// Callers that are refused, and stay as long as they may, do not take the places of VMs.
TEST(Limits, RefusedCallersTakeNobodysPlace) {
  DaemonProcess daemon({.vms_json = R"({"vms": [{"name": "web1", "unix_path": "@DIR@/web1.sock", "vmm_uid": 4242},
                                       {"name": "db1", "unix_path": "@DIR@/db1.sock"}]})",
                        .config_json = R"("max_connections": 3)"});
  std::vector<std::unique_ptr<WireClient>> strangers;
  for (int i = 0; i < 1100; ++i) strangers.push_back(std::make_unique<WireClient>(daemon.vm_address("web1")));
  WireClient welcome(daemon.vm_address("db1"));
  EXPECT_EQ(welcome.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  EXPECT_TRUE(strangers.back()->wait_for_close()) << "beyond their own bound they are closed at once";
  strangers.clear();
  EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace hostcall::test
