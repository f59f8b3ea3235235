// The question for the job in progress, to buses that answer it and to those that do not.
#include "daemon/handover/systemd_job.h"

#include <gtest/gtest.h>

#include "tests/support/patience.h"
#include "tests/support/service_manager.h"
#include "tests/unit/daemon/handover/environment_guard.h"

namespace hostcall::daemon {
namespace {

using hostcall::test::BusKind;
using hostcall::test::EnvironmentGuard;
using hostcall::test::kPatience;
using hostcall::test::ServiceManager;
using hostcall::test::Variables;

SystemdJob asked(const std::string& job, std::size_t store_max = 64) {
  ServiceManager manager({.fd_store_max = store_max});
  manager.set_job(job);
  const EnvironmentGuard environment(manager.environment());
  return systemd_job(kPatience);
}

TEST(SystemdJobTest, TellsARestartFromAStop) {
  EXPECT_EQ(asked("restart"), SystemdJob::kRestart);
  EXPECT_EQ(asked("try-restart"), SystemdJob::kRestart);
  EXPECT_EQ(asked("stop"), SystemdJob::kStop);
  EXPECT_EQ(asked("start"), SystemdJob::kStop);
}

TEST(SystemdJobTest, WithoutAJobTheSignalIsAStop) { EXPECT_EQ(asked(""), SystemdJob::kStop); }

TEST(SystemdJobTest, TellsThatTheUnitKeepsNoDescriptors) {
  EXPECT_EQ(asked("restart", 0), SystemdJob::kRestartWithoutStore);
  EXPECT_EQ(asked("restart", 1), SystemdJob::kRestartWithoutStore);
  EXPECT_EQ(asked("restart", 2), SystemdJob::kRestart);
  EXPECT_EQ(asked("stop", 0), SystemdJob::kStop);
}

TEST(SystemdJobTest, AsksNobodyWithoutSystemd) {
  ServiceManager manager;
  manager.set_job("restart");
  auto variables = manager.environment();
  variables.erase("NOTIFY_SOCKET");
  const EnvironmentGuard environment(variables);
  EXPECT_EQ(systemd_job(kPatience), SystemdJob::kUnknown);
}

// Buses that can't be waited for, and those that could be waited for without end.
TEST(SystemdJobTest, DoesNotWaitForABusThatFails) {
  for (const auto kind : {BusKind::kNone, BusKind::kFull, BusKind::kClosing}) {
    ServiceManager manager({.bus = kind});
    manager.set_job("restart");
    const EnvironmentGuard environment(manager.environment());
    EXPECT_EQ(systemd_job(kPatience), SystemdJob::kUnknown) << static_cast<int>(kind);
  }
  for (const auto kind : {BusKind::kSilent, BusKind::kHalf, BusKind::kHelloOnly}) {
    ServiceManager manager({.bus = kind});
    manager.set_job("restart");
    const EnvironmentGuard environment(manager.environment());
    EXPECT_EQ(systemd_job(milliseconds(30)), SystemdJob::kUnknown) << static_cast<int>(kind);
  }
}

TEST(SystemdJobTest, RefusesAnAddressThatIsNone) {
  const EnvironmentGuard environment(
      Variables{{"NOTIFY_SOCKET", "/nowhere"}, {"DBUS_SYSTEM_BUS_ADDRESS", "what:is=this"}});
  EXPECT_EQ(systemd_job(kPatience), SystemdJob::kUnknown);
}

}  // namespace
}  // namespace hostcall::daemon
