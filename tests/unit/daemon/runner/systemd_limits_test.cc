// Programs in transient units: many at once, calls that fail, signals that others send.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <deque>

#include "tests/support/patience.h"
#include "tests/unit/daemon/runner/systemd_fixture.h"

namespace hostcall::daemon {
namespace {

using wire::Code;

class SystemdLimitsTest : public SystemdFixture {
 protected:
  bool wait_for(const std::function<bool()>& holds) {
    return test::eventually([&] {
      run();
      return holds();
    });
  }
  std::ptrdiff_t calls(const std::string& call) const { return std::ranges::count(systemd_->calls(), call); }
  std::string stop_of(const std::string& unit) const { return "StopUnit " + unit + " replace"; }
};

TEST_F(SystemdLimitsTest, MoreUnitsThanTheBusHasCallsAndMatches) {
  constexpr std::size_t kUnits = 600;
  std::deque<News> news(kUnits);
  std::vector<std::unique_ptr<HostedProgram>> programs;
  for (auto& of_one : news) {
    std::array<UniqueFd, 3> descriptors;
    for (auto& descriptor : descriptors) descriptor = UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC));
    programs.push_back(host_->start(order_of("plain"), std::move(descriptors), of_one));
  }
  run();
  ASSERT_EQ(systemd_->names().size(), kUnits);
  say_state("active", 0, 0, "success", true);
  for (const auto& unit : systemd_->names()) systemd_->say_job_removed(unit, "done");
  run();
  say_state("failed", CLD_EXITED, 7, "exit-code", true);
  for (const auto& unit : systemd_->names()) systemd_->say_changed(unit, "failed");
  run();
  for (std::size_t i = 0; i < kUnits; ++i) {
    EXPECT_EQ(news[i].unit, systemd_->names()[i]);
    ASSERT_TRUE(news[i].end) << i;
    EXPECT_EQ(news[i].end->exit_code(), 7);
    EXPECT_EQ(calls("UnrefUnit " + news[i].unit), 1);
  }
  EXPECT_EQ(systemd_->refused_by_bus(), 0);
  EXPECT_EQ(lost_, "");
}

TEST_F(SystemdLimitsTest, AQuestionThatFailsIsAskedAgain) {
  started("plain");
  systemd_->fail("GetAll", 2);
  ends(CLD_EXITED, 7, "exit-code");
  EXPECT_FALSE(news_.end) << "an error is not exit code 0";
  ASSERT_TRUE(wait_for([this] { return news_.end.has_value(); }));
  EXPECT_EQ(news_.end->exit_code(), 7);
  EXPECT_EQ(calls(stop_of(name())), 0);
}

TEST_F(SystemdLimitsTest, AMissingStatusIsNotExitCode0) {
  started("plain");
  say_state("failed", CLD_EXITED, 7, "exit-code", true);
  systemd_->leave_out("ExecMainStatus");
  systemd_->say_changed(name(), "failed");
  run();
  EXPECT_FALSE(news_.end);
  systemd_->set("ExecMainStatus", 7);
  ASSERT_TRUE(wait_for([this] { return news_.end.has_value(); }));
  EXPECT_EQ(news_.end->exit_code(), 7);
}

TEST_F(SystemdLimitsTest, WhatCanNotBeAskedIsStoppedAndThenLost) {
  started("plain");
  systemd_->fail("GetAll", 1000);
  systemd_->fail("StopUnit", 1);
  systemd_->say_changed(name(), "failed");
  ASSERT_TRUE(wait_for([this] { return news_.failure.has_value(); }));
  EXPECT_EQ(news_.failure->code, Code::kUnavailable);
  EXPECT_FALSE(news_.end);
  EXPECT_EQ(calls(stop_of(name())), 1) << "the first was refused; it is not lost before systemd stops it";
  EXPECT_EQ(systemd_->calls().back(), "UnrefUnit " + name());
}

TEST_F(SystemdLimitsTest, AStopThatFailsIsTriedAgain) {
  started("plain");
  systemd_->fail("StopUnit", 1);
  program_->kill();
  run();
  EXPECT_EQ(calls(stop_of(name())), 0);
  EXPECT_TRUE(wait_for([this] { return calls(stop_of(name())) == 1; }));
  ends(CLD_KILLED, SIGTERM, "success");
  EXPECT_EQ(news_.end->signal(), SIGTERM);
}

TEST_F(SystemdLimitsTest, SignalsWithoutEndAreFewCalls) {
  started("plain");
  for (int i = 0; i < 10'000; ++i) program_->send_signal(i % 2 == 0 ? SIGHUP : SIGWINCH);
  const auto hup = "KillUnit " + name() + " main 1", winch = "KillUnit " + name() + " main 28";
  EXPECT_TRUE(wait_for([&] { return calls(winch) == 1; }));
  EXPECT_LE(calls(hup), 2) << "one was sent, one waited";
  program_->kill();
  run();
  EXPECT_EQ(calls(stop_of(name())), 1);
}

// systemd calls a unit inactive whose start job has not run.
TEST_F(SystemdLimitsTest, AForgedSignalBeforeTheStartIsNoEnd) {
  program_ = host_->start(order_of("plain"),
                          {UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC)),
                           UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC)),
                           UniqueFd::adopt(::open("/dev/null", O_RDWR | O_CLOEXEC))},
                          news_);
  systemd_->set("Job", 1);
  run();
  systemd_->say_job_removed(name(), "failed", ":1.4711");
  systemd_->say_changed(name(), "inactive", ":1.4711");
  run();
  EXPECT_FALSE(news_.end);
  EXPECT_FALSE(news_.failure);
  EXPECT_EQ(news_.unit, "");
  say_state("failed", CLD_EXITED, 203, "exit-code", true);
  systemd_->say_job_removed(name(), "done");
  run();
  ASSERT_TRUE(news_.end) << "that a signal said \"failed\" changes nothing";
  EXPECT_EQ(news_.end->exit_code(), 203);
}

// Such as one of a systemd that was started again.
TEST_F(SystemdLimitsTest, AUnitThatSystemdDoesNotKnowIsLost) {
  started("plain");
  say_state("inactive", 0, 0);
  systemd_->say_changed(name(), "inactive");
  run();
  ASSERT_TRUE(news_.failure);
  EXPECT_EQ(news_.failure->code, Code::kUnavailable);
}

}  // namespace
}  // namespace hostcall::daemon
