// RunnerLink with the real hostcall-runner, which it starts.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <set>
#include <sstream>

#include "daemon/config/service_file.h"
#include "daemon/services/runner_link.h"
#include "proto/net/socket.h"
#include "tests/support/contents.h"
#include "tests/support/is_gone.h"
#include "tests/support/patience.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/services/runner_observers.h"

namespace hostcall::daemon {
namespace {

using testing::HasSubstr;
using wire::Code;

class RunnerProcess : public testing::Test {
 protected:
  RunnerProcess() {
    // As hostcalld does.
    ::signal(SIGPIPE, SIG_IGN);
    reactor_.on_signal(SIGHUP, [] {});
  }
  ~RunnerProcess() override {
    link_.reset();
    for (const auto pid : runners_)
      EXPECT_TRUE(test::eventually([pid] { return test::is_gone(pid); })) << "it has not ended";
  }

  void add_script(const std::string& name, const std::string& script, const std::string& more = {}) {
    directory_.write("bin/" + name, "#!/bin/sh\n" + script + "\n");
    ASSERT_EQ(::chmod((directory_ / ("bin/" + name)).c_str(), 0755), 0);
    add_service(name, R"("run": [")" + directory_ / ("bin/" + name) + "\"]" + more);
  }
  // Services run as root only if that is written, and tests may run as root.
  void add_service(const std::string& name, const std::string& members) {
    directory_.write("services.d/" + name + ".json", R"({"name": ")" + name + R"(", "user": ")" +
                                                         ::getpwuid(::geteuid())->pw_name + "\", " + members + "}");
  }
  std::unique_ptr<RunningProgram> start(const std::string& name, ProgramObserver& observer,
                                        const std::vector<std::string>& arguments = {}) {
    const auto service = Services::read({directory_ / "services.d"}).find(name);
    EXPECT_NE(service, nullptr);
    std::array<UniqueFd, 3> descriptors;
    descriptors[0] = UniqueFd::adopt(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    for (const std::size_t i : {1U, 2U})
      descriptors[i] =
          UniqueFd::adopt(::open((directory_ / "output").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600));
    auto program = link_->start(*service, {.vm = "web1", .uuid = {}}, arguments, std::move(descriptors), observer);
    if (const auto child = link_->child()) runners_.push_back(*child);
    return program;
  }
  bool wait_for(const std::function<bool()>& holds) {
    return test::eventually([&] {
      reactor_.run_ready();
      return holds();
    });
  }
  std::vector<pid_t> pids() const {
    std::vector<pid_t> pids;
    if (!std::filesystem::exists(directory_ / "output")) return pids;
    std::istringstream lines(test::contents_of(directory_ / "output"));
    for (pid_t pid = 0; lines >> pid;) pids.push_back(pid);
    return pids;
  }

  test::TempDir directory_;
  Reactor reactor_;
  std::unique_ptr<RunnerLink> link_ = std::make_unique<RunnerLink>(
      reactor_,
      RunnerLinkOptions{.socket_path = {}, .program = HOSTCALL_RUNNER, .services = {directory_ / "services.d"}});
  std::vector<pid_t> runners_;
};

TEST_F(RunnerProcess, RunsAProgramToItsEnd) {
  add_script("hello", "echo \"$1 $HOSTCALL_VM\"; exit 4", R"(, "arguments": ["[a-z]+"])");
  KeptProgramNews news;
  const auto program = start("hello", news, {"hello"});
  EXPECT_TRUE(wait_for([&] { return news.is_over(); }));
  ASSERT_TRUE(news.end) << news.failure->message;
  EXPECT_THAT(news.unit, HasSubstr("pid "));
  EXPECT_EQ(news.end->exit_code, 4);
  EXPECT_EQ(test::contents_of(directory_ / "output"), "hello web1\n");
}

TEST_F(RunnerProcess, ManyAtOnceUseOneRunner) {
  add_script("exits", "exit $1", R"(, "arguments": ["[0-9]+"], "concurrent_per_vm": 64)");
  std::vector<KeptProgramNews> news(30);
  std::vector<std::unique_ptr<RunningProgram>> programs;
  for (std::size_t i = 0; i < news.size(); ++i) programs.push_back(start("exits", news[i], {std::to_string(i)}));
  EXPECT_TRUE(wait_for([&] { return std::ranges::all_of(news, &KeptProgramNews::is_over); }));
  for (std::size_t i = 0; i < news.size(); ++i) EXPECT_EQ(news[i].end->exit_code, static_cast<int>(i));
  EXPECT_EQ(std::set(runners_.begin(), runners_.end()).size(), 1U);
}

// Not even by way of the runner: neither descriptors nor blocked or ignored signals.
TEST_F(RunnerProcess, NothingOfOursIsInherited) {
  const auto secret = UniqueFd::adopt(::open("/etc/passwd", O_RDONLY));  // without close-on-exec
  add_script("looks", "ls -l /proc/$PPID/fd /proc/self/fd; grep SigIgn /proc/self/status");
  KeptProgramNews news;
  const auto program = start("looks", news);
  EXPECT_TRUE(wait_for([&] { return news.is_over(); }));
  const auto output = test::contents_of(directory_ / "output");
  EXPECT_THAT(output, testing::Not(HasSubstr("/etc/passwd")));
  // posix_spawn(3) leaves two signals ignored that only the C library uses, 32 and 33.
  EXPECT_THAT(output, testing::ContainsRegex("SigIgn:\t0000000[01]80000000\n|SigIgn:\t0000000000000000\n"));
}

TEST_F(RunnerProcess, AProgramThatIsGivenUpEnds) {
  add_script("sleeps", "echo $$; (setsid sh -c 'trap \"\" TERM; echo $$; sleep 1000' &); sleep 1000");
  KeptProgramNews news;
  auto program = start("sleeps", news);
  EXPECT_TRUE(wait_for([&] { return pids().size() == 2; }));
  program.reset();
  for (const auto pid : pids()) EXPECT_TRUE(wait_for([pid] { return test::is_gone(pid); }));
  EXPECT_FALSE(news.is_over());
}

TEST_F(RunnerProcess, ADeadRunnerIsReplacedAndItsProgramsEnd) {
  add_script("sleeps", "echo $$; (setsid sh -c 'echo $$; sleep 1000' &); sleep 1000");
  KeptProgramNews news;
  const auto program = start("sleeps", news);
  EXPECT_TRUE(wait_for([&] { return pids().size() == 2 && !news.unit.empty(); }));
  ASSERT_EQ(::kill(link_->child().value(), SIGKILL), 0);
  EXPECT_TRUE(wait_for([&] { return news.is_over(); }));
  EXPECT_EQ(news.failure->code, Code::kUnavailable);
  for (const auto pid : pids()) EXPECT_TRUE(wait_for([pid] { return test::is_gone(pid); }));
  add_script("fine", "exit 0");
  KeptProgramNews next;
  const auto again = start("fine", next);
  EXPECT_TRUE(wait_for([&] { return next.is_over(); }));
  EXPECT_TRUE(next.end);
  EXPECT_EQ(std::set(runners_.begin(), runners_.end()).size(), 2U);
}

TEST_F(RunnerProcess, ItsEndEndsThePrograms) {
  add_script("sleeps", "echo $$; sleep 1000");
  KeptProgramNews news;
  auto program = start("sleeps", news);
  EXPECT_TRUE(wait_for([&] { return pids().size() == 1; }));
  program.reset();
  link_.reset();
  EXPECT_TRUE(test::eventually([this] { return test::is_gone(pids().front()); }));
}

TEST_F(RunnerProcess, ConnectsToASocket) {
  const auto path = directory_ / "agent.sock";
  const auto listener = net::listen(net::unix_address(path));
  ASSERT_TRUE(listener.ok());
  add_service("agent", R"("socket": "unix:)" + path + "\"");
  const auto service = Services::read({directory_ / "services.d"}).find("agent");
  KeptConnectNews news;
  const auto attempt = link_->connect(*service, {.vm = "web1", .uuid = {}}, news);
  EXPECT_TRUE(wait_for([&] { return news.is_over(); }));
  EXPECT_TRUE(news.socket) << news.failure->message;
  EXPECT_TRUE(net::accept(listener->get()).ok());
}

TEST_F(RunnerProcess, AMissingProgramIsTold) {
  link_ = std::make_unique<RunnerLink>(
      reactor_, RunnerLinkOptions{.socket_path = {}, .program = "/nowhere/runner", .services = {}});
  add_script("fine", "exit 0");
  KeptProgramNews news;
  const auto program = start("fine", news);
  EXPECT_TRUE(wait_for([&] { return news.is_over(); }));
  EXPECT_EQ(news.failure->message,
            "hostcall-runner can't be reached: start /nowhere/runner: No such file or directory");
}

TEST_F(RunnerProcess, AbortsLeaveNothing) {
  add_script("sleeps", "echo $$; (setsid sh -c 'echo $$; sleep 1000' &); sleep 1000", R"(, "concurrent_per_vm": 64)");
  KeptProgramNews news;
  for (int i = 0; i < 40; ++i) {
    auto program = start("sleeps", news);
    EXPECT_TRUE(i % 3 != 0 || wait_for([&] { return !news.unit.empty(); }));
    if (const auto runner = link_->child(); i % 10 == 7 && runner) ::kill(*runner, SIGKILL);
  }
  link_.reset();
  for (const auto pid : pids()) EXPECT_TRUE(test::eventually([pid] { return test::is_gone(pid); }));
}

}  // namespace
}  // namespace hostcall::daemon
