// What is counted of calls: by method and code, by VM, and how long they took.
#include "daemon/calls/method_counts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/unit/daemon/calls/session_fixture.h"

namespace hostcall::daemon::test {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using wire::Shape;

class MethodCountsTest : public SessionTest {
 protected:
  explicit MethodCountsTest(const RigOptions& options = {}) : SessionTest(options) {}

  // "METHOD CODE" of those that are not zero.
  std::map<std::string, std::uint64_t> ended() {
    std::map<std::string, std::uint64_t> ended;
    rig_.router.tally().for_each([&](std::string_view name, const MethodCounts& counts) {
      for (std::size_t code = 0; code < MethodCounts::kCodes; ++code)
        if (counts.ended_with(code) != 0)
          ended[std::string(name) + " " + wire::code_name(static_cast<Code>(code))] = counts.ended_with(code);
    });
    return ended;
  }
  const DurationHistogram& latency(const char* method) { return rig_.router.find(method)->counts->latency(); }
  VmCounts& of_vm(const char* vm = "web1") { return rig_.vm(vm).counts; }
};

TEST_F(MethodCountsTest, AnswersAtOnceAreCountedByMethodAndCode) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  ping(*peer);
  ping(*peer);
  peer->call("hostcall.v1.Session/Hello");
  ping(*peer, "", nanoseconds(-1));
  EXPECT_THAT(ended(), UnorderedElementsAre(Pair("hostcall.v1.Session/Hello FAILED_PRECONDITION", 1),
                                            Pair("hostcall.v1.Session/Hello OK", 1),
                                            Pair("hostcall.v1.Session/Ping DEADLINE_EXCEEDED", 1),
                                            Pair("hostcall.v1.Session/Ping OK", 2)));
  EXPECT_EQ(latency(kPing).count(), 3u);
  EXPECT_EQ(of_vm().calls, 5u);
}

TEST_F(MethodCountsTest, ANameThatAGuestInventsIsNotKept) {
  const auto peer = rig_.peer("web1");
  peer->call("my.Own/Method");
  peer->call("hostcall.v1.Session/Invented");
  EXPECT_THAT(ended(), ElementsAre(Pair("_unknown UNIMPLEMENTED", 2)));
}

TEST_F(MethodCountsTest, AnOpenCallCountsOnceItHasEnded) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  const auto stream = peer->start(kEchoStream, "", Shape::kBidiStream);
  rig_.settle();
  EXPECT_THAT(ended(), ElementsAre(Pair("hostcall.v1.Session/Hello OK", 1)));
  rig_.advance(seconds(2));
  peer->close_send(stream);
  EXPECT_TRUE(peer->finish(stream).status.ok());
  EXPECT_EQ(ended()["hostcall.v1.Diagnostics/EchoStream OK"], 1u);
  EXPECT_EQ(latency(kEchoStream).count(), 1u);
  EXPECT_GE(latency(kEchoStream).sum(), seconds(2));
  EXPECT_LT(of_vm().latency.sum(), seconds(1)) << "a stream lasts as long as its caller likes";
}

TEST_F(MethodCountsTest, CancelledAndBrokenCallsAreCancelled) {
  auto peer = rig_.peer("web1");
  peer->hello();
  peer->cancel(peer->start(kEchoStream, "", Shape::kBidiStream));
  rig_.settle();
  EXPECT_EQ(ended()["hostcall.v1.Diagnostics/EchoStream CANCELLED"], 1u);
  peer->start(kEchoStream, "", Shape::kBidiStream);
  rig_.settle();
  peer.reset();
  rig_.settle();
  EXPECT_EQ(ended()["hostcall.v1.Diagnostics/EchoStream CANCELLED"], 2u);
}

TEST_F(MethodCountsTest, BytesAndCallsBelongToTheVm) {
  const auto peer = rig_.peer("web1"), other = rig_.peer("db1");
  ping(*other);
  const auto in = of_vm().bytes_in, out = of_vm().bytes_out;
  ping(*peer, std::string(1000, 'x'));
  EXPECT_GT(of_vm().bytes_in, in + 1000);
  EXPECT_GT(of_vm().bytes_out, out + 1000);
  EXPECT_EQ(of_vm().latency.count(), 1u);
  EXPECT_EQ(of_vm("db1").latency.count(), 1u);
  EXPECT_LT(of_vm("db1").bytes_in, 1000u);
  EXPECT_EQ(rig_.stats.bytes_in, of_vm().bytes_in + of_vm("db1").bytes_in);
}

TEST_F(MethodCountsTest, OfAFastCallerSomeAnswersStandForAll) {
  const auto peer = rig_.peer("web1");
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(ping(*peer).status.ok());
  EXPECT_EQ(ended()["hostcall.v1.Session/Ping OK"], 1000u);
  EXPECT_GT(latency(kPing).count(), 1000u - 64);
  EXPECT_LE(latency(kPing).count(), 1000u);
  EXPECT_EQ(of_vm().latency.count(), latency(kPing).count());
}

TEST_F(MethodCountsTest, AdministratorsAreNoVm) {
  const auto admin = rig_.admin();
  for (int i = 0; i < 100; ++i) ping(*admin);
  EXPECT_GT(latency(kPing).count(), 100u - 64);
  EXPECT_EQ(of_vm().calls, 0u);
  EXPECT_EQ(of_vm().latency.count(), 0u);
}

class RefusingCountsTest : public MethodCountsTest {
 protected:
  RefusingCountsTest() : MethodCountsTest(options()) {}

 private:
  static RigOptions options() {
    RigOptions options;
    options.limits.streams = 1;
    options.policy =
        R"({"rules": [{"vms": ["*"], "calls": ["hostcall.v1.Diagnostics/*", "hostcall.v1.Session/Hello"], "action": "allow"}]})";
    return options;
  }
};

TEST_F(RefusingCountsTest, DeniedAndLimitedCallsAreTold) {
  const auto peer = rig_.peer("web1");
  peer->hello();
  ping(*peer);
  peer->start(kEchoStream, "", Shape::kBidiStream);
  ping(*peer);
  const auto all = ended();
  EXPECT_EQ(all.at("hostcall.v1.Session/Ping PERMISSION_DENIED"), 1u);
  EXPECT_EQ(all.at("_refused RESOURCE_EXHAUSTED"), 1u);
  EXPECT_EQ(of_vm().denied, 1u);
  EXPECT_EQ(of_vm().limited, 1u);
}

TEST(MethodTallyTest, RoutedMethodsAreBounded) {
  MethodTally tally;
  for (std::size_t i = 0; i < MethodTally::kMostRouted; ++i)
    EXPECT_NE(&tally.of_routed("a.B/M" + std::to_string(i)), &tally.routed);
  EXPECT_EQ(&tally.of_routed("a.B/OneMore"), &tally.routed);
  EXPECT_NE(&tally.of_routed("a.B/M0"), &tally.routed) << "a known one keeps its own";
  EXPECT_NE(&tally.of("hostcall.v1.Session/Ping"), &tally.routed) << "the daemon's own are not bounded";
}

TEST(MethodTallyTest, CodesOfRoutedServersAreBounded) {
  MethodCounts counts;
  for (const auto code : {-1, 17, 1'000'000}) counts.ended(static_cast<Code>(code), {});
  EXPECT_EQ(counts.ended_with(MethodCounts::kCodes - 1), 3u);
}

}  // namespace
}  // namespace hostcall::daemon::test
