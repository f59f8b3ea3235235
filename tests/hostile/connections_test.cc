// Connections that come, stay or go as no honest ones do.
#include <signal.h>

#include "hostcall/v1/admin.pb.h"
#include "tests/hostile/bursts.h"
#include "tests/hostile/calls.h"
#include "tests/hostile/flood.h"
#include "tests/hostile/monitor.h"
#include "tests/hostile/raw_peer.h"
#include "tests/support/wire_client.h"

namespace hostcall::test {
namespace {

using std::chrono::milliseconds;

const std::string kHalfAFrame = header(1000, 3, wire::FrameType::kRequest) + "half";

const Flood kFloods[] = {
    {.name = "ConnectAndClose", .script = {.says_hello = false, .hangs_up = true}, .connections = 16},
    {.name = "HelloAndClose", .script = {.hangs_up = true}, .connections = 16},
    {.name = "CloseInsideAFrame", .script = {.opening = kHalfAFrame, .hangs_up = true}, .connections = 16},
    {.name = "CallAndClose",
     .script = {.opening = call(3, "Diagnostics/Echo", echo(60'000, 60'000)), .hangs_up = true},
     .connections = 16},
    // Most of them are over the VM's limit, and never ask why.
    {.name = "ManyThatSayNothing",
     .script = {.says_hello = false, .comes_back = false},
     .may_come = {"closed"},
     .connections = 1024,
     .is_idle = true,
     .options = {.config_json = R"("limits": {"connect_rate": 100000, "connect_burst": 100000})"}},
    {.name = "NoFirstRequest",
     .script = {.says_hello = false},
     .must_come = {"closed"},
     .connections = 16,
     .options = {.timeouts_ms = {{"first_request_ms", 100}}}},
    {.name = "OneByteAtATime",
     .script = {.opening = kHalfAFrame,
                .burst = [](std::uint32_t&) { return std::string("x"); },
                .pause = milliseconds(5)},
     .must_come = {"OK", "Goaway4", "closed"},
     .connections = 16,
     .options = {.timeouts_ms = {{"frame_ms", 100}}}},
};
HOSTCALL_FLOODS(Connections, kFloods);

// What an honest client may send, every kind of frame among it.
std::string recorded_session() {
  return hello_call(wire::kAllFeatures & ~wire::kFeatureCrc32c) + raw_call(3, "Session/WhoAmI") +
         raw_call(5, "Diagnostics/EchoStream", {}, wire::kRemoteOpen) + data(5, echo(10).SerializeAsString()) +
         call(7, "Store/Watch", watch("/self/"), wire::kRemoteClosed) +
         call(9, "Store/Put", put("/self/k", "v", "once")) + window(7, 1000) + ping() +
         call(11, "Diagnostics/Echo", echo(10, 60'000)) + cancel(11) +
         data(5, {}, wire::kRemoteClosed | wire::kNoData) + call(13, "Store/List", list("/self/")) +
         frame(wire::FrameType::kGoaway, 0, 0, be32(0) + be32(6) + be32(0) + "bye");
}

constexpr char kManyConnections[] =
    R"("limits": {"connections": 1000, "connect_rate": 100000, "connect_burst": 100000, "store_write_rate": 1000000,
                  "store_write_burst": 1000000})";

TEST(HostileConnections, MayEndAnywhere) {
  DaemonProcess daemon({.config_json = kManyConnections});
  Monitor monitor(daemon, "web1");
  WireClient neighbour(daemon.vm_address("db1"));
  const auto session = recorded_session();
  std::printf("a session of %zu bytes, cut at each of them\n", session.size());
  for (std::size_t end = 0; end <= session.size(); ++end) {
    RawPeer peer(daemon.vm_path("web1"));
    ASSERT_TRUE(peer.is_open());
    peer.queue(std::string_view(session).substr(0, end));
    peer.flush();
    ASSERT_FALSE(peer.has_unsent());
    // Half of them end when all is looked at, half may end before.
    if (end % 2 == 0) {
      ASSERT_TRUE(neighbour.call("hostcall.v1.Session/Ping").status.ok()) << end;
    }
  }
  EXPECT_TRUE(eventually([&] { return monitor.charges().are_given_back(); }));
  EXPECT_EQ(daemon.stop(), 0) << daemon.process().errors();
}

TEST(HostileConnections, ThatAreRefusedTakeNobodysAnswer) {
  DaemonProcess daemon(
      {.config_json = R"("limits": {"connections": 1, "connect_rate": 100000, "connect_burst": 100000})"});
  std::vector<std::unique_ptr<RawPeer>> held;
  for (int i = 0; i < 1200; ++i) held.push_back(std::make_unique<RawPeer>(daemon.vm_path("web1")));
  WireClient neighbour(daemon.vm_address("db1")), over(daemon.vm_address("db1"));
  EXPECT_TRUE(neighbour.call("hostcall.v1.Session/Ping").status.ok());
  const auto refusal = over.call("hostcall.v1.Session/Ping");
  EXPECT_EQ(refusal.status.code, wire::Code::kResourceExhausted);
  EXPECT_NE(refusal.status.message.find("connections (1)"), std::string::npos) << "it is told why";
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(HostileConnections, GetNothingOfARateBack) {
  constexpr int kRate = 5, kSessions = 100;
  DaemonProcess daemon({.config_json = kManyConnections, .policy_json = R"({"rules": [
      {"vms": ["*"], "calls": ["hostcall.v1.Diagnostics/Echo"], "action": "allow", "rate": 5},
      {"vms": ["*"], "calls": ["*"], "action": "allow"}]})"});
  const auto begin = std::chrono::steady_clock::now();
  int allowed = 0, refused = 0;
  for (int i = 0; i < kSessions; ++i) {
    const auto code = WireClient(daemon.vm_address("web1")).call("hostcall.v1.Diagnostics/Echo", echo(1)).status.code;
    allowed += code == wire::Code::kOk ? 1 : 0;
    refused += code == wire::Code::kResourceExhausted ? 1 : 0;
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  std::printf("%d sessions in %.2f s: %d calls allowed, %d refused\n", kSessions, passed.count(), allowed, refused);
  EXPECT_EQ(allowed + refused, kSessions);
  EXPECT_LE(allowed, kRate + kRate * passed.count() + 1);
  EXPECT_EQ(daemon.stop(), 0);
}

// Whether a connection lives on after the daemon was stopped for longer than heartbeats may be missed.
bool survives_a_stop(milliseconds heartbeat) {
  DaemonProcess daemon({.timeouts_ms = {{"heartbeat_ms", heartbeat.count()}}});
  WireClient client(daemon.vm_address("web1"));
  client.hello();
  const auto pump_for = [&](milliseconds time) {
    for (const auto end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;)
      client.pump(milliseconds(10));
  };
  daemon.process().signal(SIGSTOP);
  pump_for(6 * heartbeat);
  daemon.process().signal(SIGCONT);
  pump_for(6 * heartbeat);
  const bool survives = client.call("hostcall.v1.Session/Ping").arrived;
  EXPECT_EQ(daemon.stop(), 0);
  return survives;
}

TEST(HostileConnections, SurviveThatTheDaemonIsStopped) {
  // This process may not get the processor in time to answer; then it has more time.
  milliseconds heartbeat(150);
  while (!survives_a_stop(heartbeat)) {
    heartbeat *= 4;
    ASSERT_LT(heartbeat, kPatience / 12) << "the connection was lost each time";
  }
}

}  // namespace
}  // namespace hostcall::test
