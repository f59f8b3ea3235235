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
  const auto answer = client.call("hostcall.v1.Diagnostics/Echo", slow_echo(60'000), milliseconds(100));
  EXPECT_EQ(answer.status.code, Code::kDeadlineExceeded);
  EXPECT_GE(since(begin), milliseconds(100));
  EXPECT_EQ(client.call("hostcall.v1.Diagnostics/Echo", slow_echo(20), kPatience).status.code, Code::kOk);
  EXPECT_EQ(client.call("hostcall.v1.Diagnostics/Echo", slow_echo(0), std::chrono::nanoseconds(-1)).status.code,
            Code::kDeadlineExceeded);
  EXPECT_EQ(daemon.stop(), 0);
}

// Of a stream that neither side ends, so that it is the deadline and nothing else.
Answer endless(WireClient& client, std::chrono::nanoseconds timeout) {
  return client.finish(client.start("hostcall.v1.Diagnostics/Sink", "", wire::Shape::kClientStream, timeout));
}

TEST(Deadlines, AStreamEndsAtTheCallersDeadlineAlthoughBothSidesAreSilent) {
  DaemonProcess daemon;
  WireClient client(daemon.vm_address("web1"));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(endless(client, milliseconds(100)).status.code, Code::kDeadlineExceeded);
  EXPECT_GE(since(begin), milliseconds(100));
}

TEST(Deadlines, ACallWithoutOneGetsTheDefault) {
  DaemonProcess daemon({.timeouts_ms = {{"call_default_ms", 100}}});
  WireClient client(daemon.vm_address("web1"));
  EXPECT_EQ(client.call("hostcall.v1.Diagnostics/Echo", slow_echo(60'000)).status.code, Code::kDeadlineExceeded);
}

TEST(Deadlines, ACallGetsNoMoreThanTheMaximum) {
  DaemonProcess daemon({.timeouts_ms = {{"call_default_ms", 50}, {"call_max_ms", 100}}});
  WireClient client(daemon.vm_address("web1"));
  EXPECT_EQ(client.call("hostcall.v1.Diagnostics/Echo", slow_echo(60'000), std::chrono::hours(1)).status.code,
            Code::kDeadlineExceeded);
  EXPECT_EQ(endless(client, std::chrono::hours(1)).status.code, Code::kDeadlineExceeded);
}

TEST(Deadlines, AConnectionWithoutARequestIsClosed) {
  DaemonProcess daemon({.timeouts_ms = {{"first_request_ms", 200}}});
  const auto begin = std::chrono::steady_clock::now();
  WireClient client(daemon.vm_address("web1"));
  EXPECT_TRUE(client.wait_for_close());
  EXPECT_GE(since(begin), milliseconds(150));
}

TEST(Deadlines, AnIncompleteFrameEndsItsConnection) {
  DaemonProcess daemon({.timeouts_ms = {{"frame_ms", 200}}});
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
  DaemonProcess daemon({.timeouts_ms = {{"frame_ms", 300}}});
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

// A silent peer is lost. True: one that answers lived on meanwhile, though it did nothing else.
bool heartbeats_tell_silent_from_lively(std::uint32_t interval_ms) {
  DaemonProcess daemon({.timeouts_ms = {{"heartbeat_ms", interval_ms}}});
  WireClient silent(daemon.vm_address("web1")), lively(daemon.vm_address("web1"));
  EXPECT_EQ(silent.hello().heartbeat_interval_ms(), interval_ms);
  lively.hello();
  // The silent one reads nothing meanwhile.
  EXPECT_TRUE(eventually([&] {
    lively.pump(milliseconds(interval_ms / 4));
    return counter(daemon, "heartbeats_lost") != 0;
  }));
  EXPECT_TRUE(silent.wait_for_close());
  return !lively.closed() && lively.call("hostcall.v1.Session/Ping").status.ok() &&
         counter(daemon, "heartbeats_lost") == 1;
}

TEST(Deadlines, ASilentPeerIsFoundByHeartbeats) {
  // This process may not get the processor in time to answer; then it has more time.
  std::uint32_t interval_ms = 100;
  while (!heartbeats_tell_silent_from_lively(interval_ms)) {
    interval_ms *= 4;
    ASSERT_LT(milliseconds(interval_ms), kPatience / 4) << "the lively one was lost each time";
  }
}

TEST(Deadlines, AnIdlePlainConnectionIsClosedUnlessACallIsOpen) {
  DaemonProcess daemon({.timeouts_ms = {{"base_idle_ms", 1000}}});
  WireClient idle(daemon.vm_address("web1")), busy(daemon.vm_address("web1"));
  EXPECT_EQ(idle.call("hostcall.v1.Session/Ping").status.code, Code::kOk);
  const auto call = busy.start("hostcall.v1.Diagnostics/Echo", slow_echo(2500).SerializeAsString());
  EXPECT_TRUE(idle.wait_for_close());
  EXPECT_EQ(busy.finish(call).status.code, Code::kOk);
}

}  // namespace
}  // namespace hostcall::test
