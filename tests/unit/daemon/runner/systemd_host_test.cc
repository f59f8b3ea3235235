// Programs in transient units, with a systemd that the test plays.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/unit/daemon/runner/systemd_fixture.h"

namespace hostcall::daemon {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using wire::Code;

using SystemdHostTest = SystemdFixture;

TEST_F(SystemdHostTest, DescribesTheUnit) {
  start("backup-x", {"$HOME", "%n", "a b"});
  EXPECT_THAT(name(), testing::MatchesRegex("hostcall-run-backup\\\\x2dx-db\\\\x2d1-[0-9]+.service"));
  EXPECT_EQ(property("Slice"), "hostcall-run-db\\x2d1.slice");
  EXPECT_EQ(property("Description"), "backup-x for VM db-1 (hostcall)");
  EXPECT_EQ(property("ExecStartEx"), "/bin/receive|/bin/receive|db-1|$HOME|%n|a b|no-env-expand");
  EXPECT_EQ(property("Environment"),
            "HOSTCALL_SERVICE=backup-x|HOSTCALL_VM=db-1|HOSTCALL_VM_UUID=|LANG=C|"
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin");
  EXPECT_EQ(property("User"), "backup");
  EXPECT_EQ(property("WorkingDirectory"), "/srv");
  EXPECT_EQ(property("RuntimeMaxUSec"), "3610000000");
  EXPECT_EQ(property("TimeoutStopUSec"), "2000000");
  EXPECT_EQ(property("BindsTo"), "hostcall-runner.service");
  EXPECT_EQ(property("LogExtraFields"), "HOSTCALL_VM=db-1|HOSTCALL_VM_UUID=|HOSTCALL_SERVICE=backup-x");
  EXPECT_EQ(property("MemoryMax"), "536870912");
  EXPECT_EQ(property("CPUQuotaPerSecUSec"), "500000");
  EXPECT_EQ(property("PrivateTmp"), "1");
  EXPECT_EQ(property("ReadWritePaths"), "/a|/b");
  EXPECT_EQ(systemd_->unit(name()).descriptors, inodes_);
  EXPECT_EQ(systemd_->unit(name()).properties.count("DynamicUser"), 0U);
}

TEST_F(SystemdHostTest, WithoutAUserItIsADynamicOne) {
  start("plain");
  EXPECT_EQ(property("DynamicUser"), "1");
  EXPECT_EQ(property("NoNewPrivileges"), "1");
  EXPECT_EQ(systemd_->unit(name()).properties.count("User"), 0U);
  EXPECT_EQ(systemd_->unit(name()).properties.count("RuntimeMaxUSec"), 0U);
}

TEST_F(SystemdHostTest, TellsStartAndEnd) {
  EXPECT_EQ(started("plain"), news_.unit);
  EXPECT_FALSE(news_.end);
  ends(CLD_EXITED, 7, "exit-code");
  ASSERT_TRUE(news_.end);
  EXPECT_EQ(news_.end->exit_code(), 7);
  EXPECT_EQ(news_.end->reason(), "");
  EXPECT_THAT(systemd_->calls(), ElementsAre("Subscribe", "UnrefUnit " + name()));
}

TEST_F(SystemdHostTest, TellsSignalsAndReasons) {
  started("plain");
  ends(CLD_KILLED, SIGKILL, "oom-kill");
  EXPECT_EQ(news_.end->signal(), SIGKILL);
  EXPECT_EQ(news_.end->reason(), "it took more memory than there is for it");
}

// It ends before anybody asks.
TEST_F(SystemdHostTest, AShortProgramIsToldWhole) {
  start("plain");
  say_state("failed", CLD_EXITED, 203, "exit-code", true);  // its own status
  systemd_->say_job_removed(name(), "done");
  run();
  EXPECT_EQ(news_.unit, name());
  EXPECT_EQ(news_.end->exit_code(), 203);
}

TEST_F(SystemdHostTest, WhatCanNotBeStartedIsTold) {
  start("plain");
  say_state("failed", CLD_EXITED, 203, "exit-code");
  systemd_->say_job_removed(name(), "failed");
  run();
  EXPECT_EQ(news_.failure->code, Code::kFailedPrecondition);
  EXPECT_EQ(news_.failure->message, "the program of service \"plain\" can't be started: exec");
  EXPECT_EQ(news_.unit, "");
}

TEST_F(SystemdHostTest, ARefusedUnitIsTold) {
  systemd_->refuse("org.freedesktop.DBus.Error.InvalidArgs");
  start("plain");
  EXPECT_EQ(news_.failure->code, Code::kUnavailable);
  EXPECT_THAT(news_.failure->message, testing::Not(HasSubstr("no such luck"))) << "that is for the administrator";
}

TEST_F(SystemdHostTest, KillStopsTheUnit) {
  started("plain");
  program_->kill();
  program_->kill();
  run();
  EXPECT_THAT(systemd_->calls(), ElementsAre("Subscribe", "StopUnit " + name() + " replace"));
  ends(CLD_KILLED, SIGTERM, "success");
  EXPECT_EQ(news_.end->signal(), SIGTERM);
}

TEST_F(SystemdHostTest, WhatIsGivenUpIsStopped) {
  started("plain");
  program_.reset();
  run();
  EXPECT_THAT(systemd_->calls(), ElementsAre("Subscribe", "StopUnit " + name() + " replace", "UnrefUnit " + name()));
}

TEST_F(SystemdHostTest, SignalsGoToTheMainProcess) {
  start("plain");
  program_->send_signal(SIGHUP);
  run();
  EXPECT_THAT(systemd_->calls(), ElementsAre("Subscribe")) << "not before it runs";
  say_state("active", 0, 0, "success", true);
  systemd_->say_job_removed(name(), "done");
  run();
  program_->send_signal(SIGHUP);
  run();
  EXPECT_THAT(systemd_->calls(), ElementsAre("Subscribe", "KillUnit " + name() + " main 1"));
}

// Any user of the host may send signals on the bus.
TEST_F(SystemdHostTest, ForgedSignalsChangeNothing) {
  started("plain");
  systemd_->say_changed(name(), "failed");
  systemd_->say_changed(name(), "failed", ":1.4711");
  systemd_->say_job_removed(name(), "failed", ":1.4711");
  run();
  EXPECT_FALSE(news_.end) << "systemd says it is active";
  EXPECT_FALSE(news_.failure);
}

TEST_F(SystemdHostTest, TheBusMayBeLost) {
  started("plain");
  systemd_.reset();
  run();
  EXPECT_THAT(lost_, HasSubstr("the connection to D-Bus is lost"));
  program_->kill();
  program_.reset();
  program_ = host_->start(order_of("plain"), {}, news_);
  run();
  EXPECT_EQ(news_.failure->code, Code::kUnavailable);
}

TEST_F(SystemdHostTest, RefusesWhatDBusCanNotCarry) {
  EXPECT_TRUE(host_->check(order_of("backup-x", {"\xc3\xa4", "\n"})).ok());
  EXPECT_EQ(host_->check(order_of("backup-x", {"\xff"})).code, Code::kInvalidArgument);
  auto order = order_of("plain");
  order.vm = "a" + std::string(63, '-');
  EXPECT_EQ(host_->check(order).code, Code::kFailedPrecondition);
  EXPECT_TRUE(host_->check(connect_order("agent")).ok());
  EXPECT_EQ(host_->check(connect_order("web")).code, Code::kFailedPrecondition);
}

TEST_F(SystemdHostTest, AHelperConnectsAsAnotherUser) {
  attempt_ = host_->connect(connect_order("agent"), news_);
  run();
  EXPECT_EQ(property("User"), "alice");
  EXPECT_EQ(property("ExecStartEx"),
            "/usr/libexec/hostcall-runner|/usr/libexec/hostcall-runner|--connect|unix:/run/agent.sock|no-env-expand");
  EXPECT_EQ(property("Environment"), "HOSTCALL_SERVICE=agent");
  say_state("failed", CLD_EXITED, 1, "exit-code", true);
  systemd_->say_job_removed(name(), "done");
  run();
  EXPECT_EQ(news_.failure->message, "service \"agent\" can't be reached");
  EXPECT_TRUE(attempt_->stop());
}

// What is still there must count.
TEST_F(SystemdHostTest, AHelperThatIsStoppedIsThereUntilItsUnitIsGone) {
  attempt_ = host_->connect(connect_order("agent"), news_);
  run();
  EXPECT_FALSE(attempt_->stop());
  EXPECT_FALSE(attempt_->stop());
  run();
  EXPECT_FALSE(news_.stopped);
  say_state("failed", CLD_KILLED, SIGTERM, "signal", true);
  systemd_->say_job_removed(name(), "done");
  run();
  EXPECT_TRUE(news_.stopped);
  EXPECT_FALSE(news_.failure);
}

}  // namespace
}  // namespace hostcall::daemon
