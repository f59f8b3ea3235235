// Everything has a deadline: calls, the first request, incomplete frames, silent peers, idle plain connections.
#include <gtest/gtest.h>

#include "hostcall/v1/diagnostics.pb.h"
#include "tests/support/admin.h"
#include "tests/support/daemon_process.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

using std::chrono::milliseconds;
using wire::Code;

v1::EchoRequest slow_echo(std::uint32_t delay_ms) {
  v1::EchoRequest request;
  request.set_delay_ms(delay_ms);
  return request;
}

milliseconds since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
}

TEST(Deadlines, ACallEndsAtTheCallersDeadline) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  const auto begin = std::chrono::steady_clock::now();
  const auto answer = client.call("hostcall.v1.Diagnostics/Echo", slow_echo(30'000), milliseconds(100));
  EXPECT_EQ(answer.status.code, Code::kDeadlineExceeded);
  EXPECT_GE(since(begin), milliseconds(100));
  EXPECT_LT(since(begin), milliseconds(5'000));
  EXPECT_EQ(client.call("hostcall.v1.Diagnostics/Echo", slow_echo(20), milliseconds(10'000)).status.code, Code::kOk);
  EXPECT_EQ(client.call("hostcall.v1.Diagnostics/Echo", slow_echo(0), std::chrono::nanoseconds(-1)).status.code,
            Code::kDeadlineExceeded);
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Deadlines, ACallWithoutOneGetsTheDefault) {
  DaemonProcess daemon({.config_json = R"("timeouts": {"call_default_ms": 100})"});
  WireClient client(daemon.vm_address("web1"));
  EXPECT_EQ(client.call("hostcall.v1.Diagnostics/Echo", slow_echo(30'000)).status.code, Code::kDeadlineExceeded);
}

TEST(Deadlines, ACallGetsNoMoreThanTheMaximum) {
  DaemonProcess daemon({.config_json = R"("timeouts": {"call_default_ms": 50, "call_max_ms": 100})"});
  WireClient client(daemon.vm_address("web1"));
  EXPECT_EQ(client.call("hostcall.v1.Diagnostics/Echo", slow_echo(30'000), std::chrono::hours(1)).status.code,
            Code::kDeadlineExceeded);
}

TEST(Deadlines, AConnectionWithoutARequestIsClosed) {
  DaemonProcess daemon({.config_json = R"("timeouts": {"first_request_ms": 200})"});
  WireClient client(daemon.vm_address("web1"));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(client.wait_for_close());
  EXPECT_GE(since(begin), milliseconds(150));
}

TEST(Deadlines, AnIncompleteFrameEndsItsConnection) {
  DaemonProcess daemon({.config_json = R"("timeouts": {"frame_ms": 200})"});
  WireClient client(daemon.vm_address("web1"));
  client.hello();
  const auto begin = std::chrono::steady_clock::now();
  client.send_raw(std::string("\x00\x00\x10\x00\x00\x00\x00\x03\x01\x00partial", 17));
  EXPECT_TRUE(client.wait_for_goaway());
  EXPECT_TRUE(client.wait_for_close());
  EXPECT_GE(since(begin), milliseconds(150));
  EXPECT_EQ(client.goaway_reason(), wire::GoawayReason::kLimit);
}

TEST(Deadlines, ASlowDripOfOneFrameEndsItsConnection) {
  DaemonProcess daemon({.config_json = R"("timeouts": {"frame_ms": 300, "first_request_ms": 300})"});
  WireClient client(daemon.vm_address("web1"));
  // One byte at a time: every byte is a sign of life, but the frame is not complete in time.
  const std::string header("\x00\x00\x10\x00\x00\x00\x00\x01\x01\x00", 10);
  std::size_t sent = 0;
  while (!client.closed() && sent < 4096) {
    client.send_raw(sent < header.size() ? header.substr(sent, 1) : "x");
    ++sent;
    client.pump(milliseconds(20));
  }
  EXPECT_TRUE(client.closed());
}

TEST(Deadlines, ASilentPeerIsFoundByHeartbeats) {
  DaemonProcess daemon({.config_json = R"("timeouts": {"heartbeat_ms": 100})"});
  WireClient silent(daemon.vm_address("web1")), lively(daemon.vm_address("web1"));
  EXPECT_EQ(silent.hello().heartbeat_interval_ms(), 100U);
  lively.hello();
  // The lively one answers pings while it waits; the silent one reads nothing meanwhile.
  const auto begin = std::chrono::steady_clock::now();
  while (since(begin) < milliseconds(1500)) lively.pump(milliseconds(50));
  EXPECT_FALSE(lively.closed());
  EXPECT_EQ(lively.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  EXPECT_EQ(counter(daemon, "heartbeats_lost"), 1U);
  EXPECT_TRUE(silent.wait_for_close());
}

TEST(Deadlines, AnIdlePlainConnectionIsClosedUnlessACallIsOpen) {
  DaemonProcess daemon({.config_json = R"("timeouts": {"base_idle_ms": 1000})"});
  WireClient idle(daemon.vm_address("web1")), busy(daemon.vm_address("web1"));
  EXPECT_EQ(idle.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  const auto call = busy.start("hostcall.v1.Diagnostics/Echo", slow_echo(2500).SerializeAsString());
  EXPECT_TRUE(idle.wait_for_close());
  EXPECT_EQ(busy.finish(call).status.code, Code::kOk);
}

}  // namespace
}  // namespace hostcall::test
