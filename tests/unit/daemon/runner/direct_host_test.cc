// Programs that the runner starts by itself: what they get, and that nothing of them is left.
#include "daemon/runner/direct_host.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <charconv>
#include <sstream>

#include "tests/unit/daemon/runner/runner_fixture.h"

namespace hostcall::daemon {
namespace {

using testing::HasSubstr;

class DirectHostTest : public RunnerFixture {
 protected:
  // Waits for the start, then for the end.
  runner::Ended run(const std::string& service, const std::vector<std::string>& arguments = {}) {
    const auto id = start(service, arguments);
    const auto started = reply();
    EXPECT_TRUE(started.has_started()) << started.failed().text();
    EXPECT_EQ(started.id(), id);
    return end_of(id);
  }
  runner::Ended end_of(std::uint64_t id) {
    const auto end = reply();
    EXPECT_TRUE(end.has_ended()) << end.failed().text();
    EXPECT_EQ(end.id(), id);
    return end.ended();
  }
  // Pids that scripts write, one on a line.
  std::vector<pid_t> pids() const {
    std::vector<pid_t> pids;
    std::istringstream lines(output());
    for (pid_t pid = 0; lines >> pid;) pids.push_back(pid);
    return pids;
  }
  bool are_gone() const {
    for (const auto pid : pids())
      if (::kill(pid, 0) == 0) return false;
    return true;
  }
};

TEST_F(DirectHostTest, TellsStartAndEnd) {
  add_script("seven", "exit 7");
  const auto id = start("seven");
  EXPECT_THAT(reply().started().unit(), testing::MatchesRegex("pid [0-9]+"));
  EXPECT_EQ(end_of(id).exit_code(), 7);
}

TEST_F(DirectHostTest, TellsTheSignalThatKilled) {
  add_script("killed", "kill -KILL $$");
  const auto end = run("killed");
  EXPECT_EQ(end.signal(), SIGKILL);
  EXPECT_EQ(end.exit_code(), 0);
}

TEST_F(DirectHostTest, TheEnvironmentIsItsOwn) {
  ::setenv("HOSTCALL_TEST_SECRET", "x", 1);
  add_service(R"("name": "env", "run": ["/usr/bin/env"], "environment": {"B": "{service} of {vm}"})" + as_this_user(),
              "env");
  EXPECT_EQ(run("env").exit_code(), 0);
  EXPECT_EQ(output(),
            "B=env of web1\nHOSTCALL_SERVICE=env\nHOSTCALL_VM=web1\nHOSTCALL_VM_UUID=\n"
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin\n");
}

TEST_F(DirectHostTest, ItsSurroundingsAreItsOwn) {
  add_script("where",
             "pwd; umask; ulimit -n; ls /proc/self/fd | wc -l; grep -E 'Sig(Blk|Ign)|NoNewPrivs' /proc/self/status",
             R"(, "directory": "/usr/lib")");
  EXPECT_EQ(run("where").exit_code(), 0);
  // ls has a fourth descriptor, for the directory.
  EXPECT_THAT(output(), testing::StartsWith("/usr/lib\n0077\n1024\n4\n"));
  EXPECT_THAT(output(), HasSubstr("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"));
  EXPECT_THAT(output(), HasSubstr("NoNewPrivs:\t1"));
}

TEST_F(DirectHostTest, HasASessionOfItsOwn) {
  add_script("session", "cut -d' ' -f1,5,6 /proc/$$/stat");
  EXPECT_EQ(run("session").exit_code(), 0);
  std::istringstream numbers(output());
  pid_t pid = 0, group = 1, session = 2;
  numbers >> pid >> group >> session;
  EXPECT_EQ(pid, group);
  EXPECT_EQ(pid, session);
}

TEST_F(DirectHostTest, ArgumentsArriveAsTheyAre) {
  add_script("words", R"(for word in "$@"; do printf '<%s>' "$word"; done)", R"(, "arguments": [".*", "rest"])");
  EXPECT_EQ(run("words", {"", "a b", "'\"", "$HOME", "*", "\xff", "x\ny"}).exit_code(), 0);
  EXPECT_EQ(output(), "<><a b><'\"><$HOME><*><\xff><x\ny>");
}

TEST_F(DirectHostTest, WhatCanNotBeStartedIsTold) {
  add_service(R"("name": "missing", "run": ["/nowhere/program"])" + as_this_user(), "missing");
  auto failed = refusal(start_of("missing"));
  EXPECT_EQ(failed.code(), static_cast<int>(wire::Code::kFailedPrecondition));
  EXPECT_EQ(failed.text(), "the program of service \"missing\" can't be started: exec: No such file or directory");
  add_script("lost", "", R"(, "directory": "/nowhere")");
  failed = refusal(start_of("lost"));
  EXPECT_EQ(failed.text(),
            "the program of service \"lost\" can't be started: its directory: No such file or directory");
  EXPECT_TRUE(wait_for([this] { return running_.count() == 0; }));
}

TEST_F(DirectHostTest, WhatTakesSystemdIsRefused) {
  add_service(
      R"("name": "other", "run": ["/bin/true"], "user": ")" + std::string(::geteuid() == 0 ? "nobody" : "root") + "\"",
      "other");
  EXPECT_THAT(refusal(start_of("other")).text(), HasSubstr("has another user than hostcalld"));
  add_service(R"("name": "limited", "run": ["/bin/true"], "properties": {"MemoryMax": "1M"})" + as_this_user(),
              "limited");
  EXPECT_THAT(refusal(start_of("limited")).text(), HasSubstr("has properties"));
  add_service(R"("name": "nobodys", "run": ["/bin/true"])", "nobodys");
  if (::geteuid() != 0) return;
  EXPECT_THAT(refusal(start_of("nobodys")).text(), HasSubstr("would run as root"));
}

TEST_F(DirectHostTest, SignalsReachTheMainProcess) {
  add_script("waits", "trap 'exit 5' USR1; echo ready; while :; do sleep 0.01; done");
  const auto id = start("waits");
  EXPECT_TRUE(reply().has_started());
  EXPECT_TRUE(wait_for([this] { return output() == "ready\n"; }));
  signal(id, 0);
  signal(id, -1);
  signal(id, 4711);
  signal(id, SIGUSR1);
  EXPECT_EQ(end_of(id).exit_code(), 5);
  signal(id, SIGUSR1);  // too late, not wrong
}

// A tree that does all to escape: a session of its own, forked twice, deaf to SIGTERM, stopped.
constexpr char kEscapes[] = R"(
echo $$
setsid sh -c 'trap "" TERM HUP; echo $$; (setsid sh -c "trap \"\" TERM; echo \$\$; exec sleep 1000" &) ; exec sleep 1000' &
sh -c 'echo $$; kill -STOP $$' &
)";

TEST_F(DirectHostTest, CancelEndsTheWholeTree) {
  add_script("escapes", std::string(kEscapes) + "trap '' TERM; sleep 1000; sleep 1000");
  const auto id = start("escapes");
  EXPECT_TRUE(reply().has_started());
  EXPECT_TRUE(wait_for([this] { return pids().size() == 4; }));
  cancel(id);
  EXPECT_TRUE(wait_for([this] { return running_.count() == 0; }));
  EXPECT_TRUE(are_gone());
}

TEST_F(DirectHostTest, WhatAProgramLeavesEndsWithIt) {
  add_script("leaves",
             std::string(kEscapes) + "while [ $(wc -l <" + directory_ / "output" + ") != 4 ]; do :; done; exit 3");
  EXPECT_EQ(run("leaves").exit_code(), 3);
  EXPECT_EQ(pids().size(), 4U);
  EXPECT_TRUE(are_gone()) << "before the end is told";
}

TEST_F(DirectHostTest, AllEndsWithTheConnection) {
  add_script("escapes", std::string(kEscapes) + "sleep 1000");
  start("escapes");
  start("escapes");
  EXPECT_TRUE(wait_for([this] { return pids().size() == 8; }));
  hostcalld_.reset();
  EXPECT_TRUE(wait_for([this] { return is_over_; }));
  EXPECT_TRUE(are_gone());
}

// Somebody kills the keeper itself; the program and its children follow.
TEST_F(DirectHostTest, ALostKeeperLeavesNothing) {
  add_script("escapes", "echo $PPID;" + std::string(kEscapes) + "sleep 1000");
  start("escapes");
  EXPECT_TRUE(reply().has_started());
  EXPECT_TRUE(wait_for([this] { return pids().size() == 5; }));
  ASSERT_EQ(::kill(pids().front(), SIGKILL), 0);
  EXPECT_EQ(reply().failed().code(), static_cast<int>(wire::Code::kUnavailable));
  EXPECT_TRUE(wait_for([this] { return are_gone(); }));
}

TEST_F(DirectHostTest, ManyAbortsLeaveNothing) {
  add_script("sleeps", "echo $$; sleep 1000", R"(, "concurrent": 64, "concurrent_per_vm": 64)");
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) cancel(start("sleeps"));
    EXPECT_TRUE(wait_for([this] { return running_.count() == 0; }));
  }
  EXPECT_TRUE(are_gone());
}

}  // namespace
}  // namespace hostcall::daemon
