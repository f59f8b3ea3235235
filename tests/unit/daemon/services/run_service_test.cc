// Run: programs that the test plays itself, behind a runner that does what it says: input, output, signals, ends, and
// everything that the two sides can do wrong.
#include "daemon/services/run_service.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "daemon/services/run_call.h"
#include "hostcall/v1/run.hostcall.h"
#include "hostcall/v1/session.hostcall.h"
#include "tests/support/frames.h"
#include "tests/support/scripted_runner.h"
#include "tests/unit/daemon/services/fixture.h"

namespace hostcall::daemon {
namespace {

using test::WireClient;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using v1::Run::Start;

constexpr std::size_t kKiB = 1024;
constexpr Duration kTick = milliseconds(1);

v1::StartRequest program(const std::string& service, const std::vector<std::string>& arguments = {}) {
  v1::StartRequest request;
  request.set_service(service);
  for (const auto& argument : arguments) request.add_arguments(argument);
  return request;
}
v1::StartRequest input(const std::string& bytes, bool eof = false) {
  v1::StartRequest request;
  request.set_stdin_data(bytes);
  request.set_stdin_eof(eof);
  return request;
}
v1::StartRequest signal_number(int number) {
  v1::StartRequest request;
  request.set_signal(static_cast<std::uint32_t>(number));
  return request;
}

class RunTest : public test::ServicesFixture {
 protected:
  RunTest() {
    ::signal(SIGPIPE, SIG_IGN);  // as hostcalld does
    register_run_service(rig_.router, {rig_.reactor, rig_.catalog, runner_, host_calls_});
    rig_.router.protocol<v1::Session::Hello>(Audience::kGuest);
    rig_.start();
    use_with(R"("arguments": ["[a-z]+", "[0-9]*", "rest"])");
  }
  void use_with(const std::string& members) {
    rig_.use_services(R"({"name": "job", "run": ["/bin/job"], )" + members + "}");
  }

  std::uint32_t run(WireClient& caller, const std::vector<std::string>& arguments = {"a"}) {
    return start<Start>(caller, program("job", arguments));
  }
  // One that runs.
  std::uint32_t running(WireClient& caller) {
    const auto stream = run(caller);
    EXPECT_NE(runner_.program, nullptr);
    runner_.program->on_started("pid 7");
    const auto greeting = receive<Start>(caller, stream);
    EXPECT_TRUE(greeting && greeting->ByteSizeLong() == 0u);
    for (const auto& fd : runner_.fds) EXPECT_EQ(::fcntl(fd.get(), F_SETFL, O_NONBLOCK), 0);  // only for the test
    return stream;
  }
  void send(WireClient& caller, std::uint32_t stream, const v1::StartRequest& request) {
    ASSERT_TRUE(caller.send(stream, request));
    settle();
  }
  // What the program's input has; "<end>" behind it if that was all.
  std::string heard() {
    std::string text;
    char buffer[64 * kKiB];
    for (;;) {
      const auto got = ::read(runner_.fds[0].get(), buffer, sizeof buffer);
      if (got < 0) return text;
      if (got == 0) return text + "<end>";
      text.append(buffer, static_cast<std::size_t>(got));
    }
  }
  void say(int fd, const std::string& text) {
    ASSERT_EQ(::write(runner_.fds[static_cast<std::size_t>(fd)].get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
    settle();
  }
  void end_program(const ProgramEnd& end) {
    runner_.fds = {};
    runner_.program->on_ended(end);
    settle();
  }
  // "out:…" and "err:…", and the end: "exit 3", "signal 9".
  std::string received(WireClient& caller, std::uint32_t stream) {
    settle();
    std::string text;
    while (const auto message = receive<Start>(caller, stream)) {
      if (!message->stdout_data().empty()) text += "out:" + message->stdout_data() + " ";
      if (!message->stderr_data().empty()) text += "err:" + message->stderr_data() + " ";
      if (message->has_ended())
        text += (message->ended().signal() != 0 ? "signal " + std::to_string(message->ended().signal())
                                                : "exit " + std::to_string(message->ended().exit_code())) +
                message->ended().reason();
    }
    return text;
  }
  Status ended(WireClient& caller, std::uint32_t stream) { return caller.finish(stream).status; }
  void expect_nothing_left() {
    EXPECT_EQ(runner_.program, nullptr) << "killed, or ended";
    EXPECT_EQ(used("web1", Resource::kMemory), 0u);
    EXPECT_EQ(used("web1", Resource::kStreams), 0u);
    EXPECT_EQ(rig_.catalog.calls_of("job"), 0u);
  }
};

// ---------------------------------------------------------------- a run

TEST_F(RunTest, CarriesInputOutputAndTheExitCode) {
  const auto caller = guest("web1");
  const auto stream = running(*caller);
  EXPECT_THAT(runner_.log, ElementsAre("start job for web1 "));
  EXPECT_THAT(runner_.started_with, ElementsAre("a"));
  send(*caller, stream, input("question", true));
  EXPECT_EQ(heard(), "question<end>");
  say(1, "answer");
  say(2, "complaint");
  EXPECT_EQ(received(*caller, stream), "out:answer err:complaint ");
  end_program({.exit_code = 3, .signal = 0, .reason = {}});
  EXPECT_EQ(received(*caller, stream), "exit 3");
  EXPECT_TRUE(ended(*caller, stream).ok());
  expect_nothing_left();
}

TEST_F(RunTest, TellsTheSignalAndTheReason) {
  const auto caller = guest("web1");
  const auto stream = running(*caller);
  end_program({.exit_code = 0, .signal = SIGKILL, .reason = " no memory"});
  EXPECT_EQ(received(*caller, stream), "signal 9 no memory");
}

TEST_F(RunTest, AllThatTheProgramHasSaidComesBeforeItsEnd) {
  const auto caller = guest("web1");
  const auto stream = running(*caller);
  const std::string large(60 * kKiB, 'x');
  ASSERT_EQ(::write(runner_.fds[1].get(), large.data(), large.size()), static_cast<ssize_t>(large.size()));
  end_program({});
  EXPECT_EQ(received(*caller, stream), "out:" + large + " exit 0");
}

TEST_F(RunTest, InputMayComeBeforeTheProgramRuns) {
  const auto caller = guest("web1");
  auto first = program("job", {"a"});
  first.set_stdin_data("early ");
  const auto stream = start<Start>(*caller, first);
  send(*caller, stream, input("bird", true));
  EXPECT_GT(used("web1", Resource::kMemory), HostCall::kOwnBytes) << "kept meanwhile";
  runner_.program->on_started("pid 7");
  settle();
  EXPECT_EQ(heard(), "early bird<end>");
  EXPECT_EQ(used("web1", Resource::kMemory), HostCall::kOwnBytes);
}

TEST_F(RunTest, AProgramNeedNotReadItsInput) {
  const auto caller = guest("web1");
  const auto stream = running(*caller);
  runner_.fds[0].reset();
  for (int i = 0; i < 100; ++i) send(*caller, stream, input(std::string(32 * kKiB, 'x')));
  EXPECT_FALSE(caller->ended(stream)) << "and the caller is not stopped by it";
  end_program({.exit_code = 1, .signal = 0, .reason = {}});
  EXPECT_EQ(received(*caller, stream), "exit 1");
}

TEST_F(RunTest, SendsSignals) {
  const auto caller = guest("web1");
  const auto stream = running(*caller);
  send(*caller, stream, signal_number(SIGINT));
  send(*caller, stream, signal_number(SIGUSR1));
  EXPECT_THAT(runner_.signals, ElementsAre(SIGINT, SIGUSR1));
  send(*caller, stream, signal_number(SIGKILL));
  expect_refused(ended(*caller, stream), Code::kInvalidArgument, "signal 9 can't be sent");
  expect_nothing_left();
}

// ---------------------------------------------------------------- back-pressure

TEST_F(RunTest, ACallerThatDoesNotReadStopsTheProgram) {
  const auto caller = guest("web1");
  const auto stream = running(*caller);
  std::size_t said = 0;
  const std::string part(16 * kKiB, 'p');
  for (int i = 0; i < 400; ++i) {
    const auto wrote = ::write(runner_.fds[1].get(), part.data(), part.size());
    settle();  // would not return if a blocked program had work in each turn
    if (wrote <= 0) break;
    said += static_cast<std::size_t>(wrote);
  }
  EXPECT_LT(said, 1024 * kKiB);
  runner_.fds[1].reset();
  settle();
  EXPECT_FALSE(caller->ended(stream));
  end_program({});
  advance(seconds(5));
  std::size_t got = 0;
  bool saw_end = false;
  while (const auto message = receive<Start>(*caller, stream)) {
    got += message->stdout_data().size();
    saw_end |= message->has_ended();
  }
  EXPECT_EQ(got, said) << "what it wrote before its end is not lost, however slowly the caller reads";
  EXPECT_TRUE(saw_end);
}

// As a daemon does that the program leaves behind.
TEST_F(RunTest, OutputThatStaysOpenDoesNotDelayTheEndForLong) {
  const auto caller = guest("web1");
  const auto stream = running(*caller);
  say(1, "said");
  runner_.program->on_ended({.exit_code = 5, .signal = 0, .reason = {}});
  EXPECT_EQ(received(*caller, stream), "out:said ");
  advance(RunCall::kLastOutput - kTick);
  EXPECT_FALSE(caller->ended(stream));
  advance(kTick);
  EXPECT_EQ(received(*caller, stream), "exit 5");
  EXPECT_TRUE(ended(*caller, stream).ok());
  expect_nothing_left();
}

TEST_F(RunTest, OutputThatNobodyReadsEndsTheCallAndHoldsNoPlace) {
  use_with(R"("arguments": ["a"], "concurrent": 1, "timeout": "2s")");
  const auto caller = guest("web1"), other = guest("db1");
  const auto stream = running(*caller);
  std::size_t said = 0;
  const std::string part(16 * kKiB, 'p');
  for (ssize_t wrote = 0;
       said < 4'000 * kKiB && (wrote = ::write(runner_.fds[1].get(), part.data(), part.size())) > 0;) {
    said += static_cast<std::size_t>(wrote);
    settle();
  }
  end_program({});
  EXPECT_EQ(rig_.catalog.calls_of("job"), 0u) << "the program has ended";
  running(*other);
  for (int i = 0; i < 61; ++i) {
    advance(seconds(1));
    is_quiet(*caller);  // answers heartbeats, and takes no message
  }
  expect_refused(ended(*caller, stream), Code::kDeadlineExceeded, "its last output was not read within 60 s");
}

TEST_F(RunTest, AnAdministratorIsNoVm) {
  const auto caller = admin();
  expect_refused(ended(*caller, run(*caller)), Code::kFailedPrecondition, "the admin socket belongs to none");
  EXPECT_THAT(runner_.log, IsEmpty());
}

TEST_F(RunTest, SignalsHaveARate) {
  const auto caller = guest("web1");
  const auto stream = running(*caller);
  for (int i = 0; i < 100; ++i) send(*caller, stream, signal_number(SIGUSR1));
  EXPECT_EQ(runner_.signals.size(), 20u);
  advance(seconds(1));
  for (int i = 0; i < 100; ++i) send(*caller, stream, signal_number(SIGUSR1));
  EXPECT_EQ(runner_.signals.size(), 30u);
}

// ---------------------------------------------------------------- ends

TEST_F(RunTest, EndingTheCallKillsTheProgram) {
  const auto caller = guest("web1");
  auto stream = running(*caller);
  caller->cancel(stream);
  settle();
  expect_nothing_left();
  stream = start<Start>(*caller, program("job", {"a"}), seconds(1));
  runner_.program->on_started("pid 8");
  advance(seconds(1));
  EXPECT_EQ(ended(*caller, stream).code, Code::kDeadlineExceeded);
  expect_nothing_left();
  running(*caller);
  ASSERT_EQ(::shutdown(caller->fd(), SHUT_RDWR), 0);
  settle();
  expect_nothing_left();
}

TEST_F(RunTest, TheServicesTimeoutIsTheDeadline) {
  use_with(R"("arguments": ["a"], "timeout": "40s")");
  const auto caller = guest("web1");
  const auto stream = running(*caller);
  for (int i = 0; i < 39; ++i) {
    advance(seconds(1));
    is_quiet(*caller);  // answers heartbeats
  }
  EXPECT_FALSE(caller->ended(stream)) << "it may take longer than a call without a deadline";
  advance(seconds(1));
  expect_refused(ended(*caller, stream), Code::kDeadlineExceeded, "ran for longer than the service's timeout");
  expect_nothing_left();
}

TEST_F(RunTest, TellsWhyAProgramWasNotStarted) {
  const auto caller = guest("web1");
  const auto stream = run(*caller);
  runner_.program->on_failed({Code::kUnavailable, "no such program"});
  settle();
  expect_refused(ended(*caller, stream), Code::kUnavailable, "no such program");
  expect_nothing_left();
}

// ---------------------------------------------------------------- refusals

TEST_F(RunTest, RefusesArguments) {
  const auto caller = guest("web1");
  const auto refused = [&](const std::vector<std::string>& arguments, const std::string& text) {
    expect_refused(ended(*caller, run(*caller, arguments)), Code::kInvalidArgument, text);
  };
  refused({}, "it takes at least 1 argument, but 0 were given");
  refused({"A"}, "argument 1, \"A\", does not match \"[a-z]+\"");
  refused({"a b"}, "does not match");
  refused({"a\n"}, "does not match");
  refused({"-o"}, "begins with \"-\"");
  refused({std::string("a\0b", 3)}, "has a NUL");
  refused({"a", "\xff\xfe"}, "does not match");
  refused({std::string(5000, 'a')}, "has more than 4,096 bytes");
  refused(std::vector<std::string>(65, "a"), "");
  EXPECT_THAT(runner_.log, IsEmpty());
  expect_nothing_left();
}

TEST_F(RunTest, MisuseEndsTheCall) {
  const auto caller = guest("web1");
  const auto twice = running(*caller);
  send(*caller, twice, program("job"));
  expect_refused(ended(*caller, twice), Code::kInvalidArgument, "only the first message");
  const auto late = running(*caller);
  v1::StartRequest request;
  request.add_arguments("a");
  send(*caller, late, request);
  expect_refused(ended(*caller, late), Code::kInvalidArgument, "arguments came after the first message");
  const auto after = running(*caller);
  send(*caller, after, input("x", true));
  send(*caller, after, input("y"));
  expect_refused(ended(*caller, after), Code::kInvalidArgument, "input came after stdin_eof");
  const auto garbage = running(*caller);
  caller->send_raw(hostcall::test::data(garbage, "\xff\xff\xff"));
  settle();
  expect_refused(ended(*caller, garbage), Code::kInvalidArgument, "hostcall.v1.Run/Start");
  expect_nothing_left();
}

TEST_F(RunTest, ASocketIsNoProgram) {
  rig_.use_services(R"({"name": "job", "socket": "unix:/x"})");
  const auto caller = guest("web1");
  expect_refused(ended(*caller, run(*caller)), Code::kNotFound, "is no program but a socket");
}

// ---------------------------------------------------------------- records

TEST_F(RunTest, ARunIsRecordedWhenItHasEnded) {
  const auto caller = guest("web1");
  const auto stream = running(*caller);
  send(*caller, stream, input("12345", true));
  say(1, "1234567");
  rig_.log();
  advance(milliseconds(1500));
  end_program({.exit_code = 3, .signal = 0, .reason = {}});
  EXPECT_THAT(rig_.log(), HasSubstr("VM \"web1\" called hostcall.v1.Run/Start for \"job\": exit code 3, after 1500 ms, "
                                    "5 bytes in, 7 bytes out, pid 7"));
  caller->cancel(running(*caller));
  settle();
  EXPECT_THAT(rig_.log(), HasSubstr("for \"job\": CANCELLED, after 0 ms, "));
}

TEST_F(RunTest, ARuleDecidesWhatIsRecorded) {
  policy(R"({"vms": ["web1"], "calls": ["hostcall.v1.Run/Start"], "action": "allow", "audit": false},
            {"vms": ["*"], "calls": ["*"], "action": "allow"})");
  const auto quiet = guest("web1"), loud = guest("db1");
  quiet->cancel(running(*quiet));
  settle();
  EXPECT_THAT(rig_.log(), Not(HasSubstr("called")));
  loud->cancel(running(*loud));
  settle();
  EXPECT_THAT(rig_.log(), HasSubstr("VM \"db1\" called hostcall.v1.Run/Start"));
}

TEST_F(RunTest, RecordsAboveARateAreCounted) {
  use_with(R"("arguments": ["a"], "start_rate": 1000, "start_burst": 1000)");
  const auto caller = guest("web1");
  rig_.log();
  for (int i = 0; i < 300; ++i) {
    caller->cancel(run(*caller));
    if (i % 50 == 0) settle();
  }
  settle();
  const auto log = rig_.log();
  EXPECT_EQ(std::ranges::count(log, '\n'), 110);
  advance(seconds(70));
  EXPECT_THAT(rig_.log(), HasSubstr("190 more calls of web1 were made, but not recorded"));
}

// All VMs share the host's service manager.
TEST_F(RunTest, StartsHaveARate) {
  use_with(R"("arguments": ["a"], "start_rate": 1, "start_burst": 2, "concurrent": 10, "concurrent_per_vm": 10)");
  const auto caller = guest("web1"), other = guest("db1");
  running(*caller);
  running(*caller);
  expect_refused(ended(*caller, run(*caller)), Code::kResourceExhausted,
                 "VM \"web1\": the limit start_rate (1) of the service \"job\" is reached; retry in 1000 ms");
  running(*other);
  advance(seconds(1));
  running(*caller);
}

TEST_F(RunTest, CancelledStartsLeaveNothing) {
  use_with(R"("arguments": ["a"], "start_rate": 1000, "start_burst": 1000)");
  const auto caller = guest("web1");
  for (int i = 0; i < 1000; ++i) {
    caller->cancel(run(*caller));
    if (i % 50 == 0) advance(milliseconds(50));
  }
  settle();
  expect_nothing_left();
}

}  // namespace
}  // namespace hostcall::daemon
