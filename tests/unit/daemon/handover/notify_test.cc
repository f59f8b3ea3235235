// Messages to systemd: that they arrive, and that nothing waits longer than it may.
#include "daemon/handover/notify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/patience.h"
#include "tests/support/service_manager.h"
#include "tests/unit/daemon/handover/environment_guard.h"

namespace hostcall::daemon {
namespace {

using hostcall::test::EnvironmentGuard;
using hostcall::test::kPatience;
using hostcall::test::ServiceManager;
using hostcall::test::Variables;
using ::testing::HasSubstr;

TEST(Notify, SendsAndWaitsUntilItIsHandled) {
  ServiceManager manager;
  const EnvironmentGuard environment(manager.environment());
  const auto notify = Notify::open(Clock::now() + kPatience);
  ASSERT_TRUE(notify.ok()) << notify.error().message();
  EXPECT_TRUE(notify->send("STATUS=one").ok());
  EXPECT_TRUE(notify->send("STATUS=two").ok());
  const auto passed = notify->barrier();
  EXPECT_TRUE(passed.ok());
  EXPECT_EQ(manager.seen(), "STATUS=one\nSTATUS=two\nBARRIER=1\n");
}

TEST(Notify, NeedsSystemd) {
  EXPECT_THAT(Notify::open(kNever).error().message(), HasSubstr("systemd has not started this process"));
  const EnvironmentGuard environment(Variables{{"NOTIFY_SOCKET", "/nowhere/notify"}});
  EXPECT_THAT(Notify::open(kNever).error().message(), HasSubstr("connect unix:/nowhere/notify: No such file"));
  const EnvironmentGuard wrong(Variables{{"NOTIFY_SOCKET", "relative"}});
  EXPECT_FALSE(Notify::open(kNever).ok());
}

// Neither for an answer to the barrier, nor for room in the socket.
TEST(Notify, GivesUpAtItsDeadline) {
  ServiceManager manager({.hangs = true});
  const EnvironmentGuard environment(manager.environment());
  const auto notify = Notify::open(Clock::now() + milliseconds(20));
  EXPECT_EQ(notify->barrier().error().message(), "wait for systemd: Connection timed out");
  Done sent = done();
  for (int i = 0; sent.ok() && i < 100'000; ++i) sent = notify->send(std::string(4000, 'x'));
  ASSERT_FALSE(sent.ok()) << "the socket has room for all";
  EXPECT_EQ(sent.error().message(), "notify systemd: Connection timed out");
}

}  // namespace
}  // namespace hostcall::daemon
