// hostcall run against a real daemon, its runner and real programs.
#include <csignal>
#include <fstream>

#include "tests/integration/services_cli.h"
#include "tests/support/patience.h"

namespace hostcall::test {
namespace {

class RunCli : public ServicesCli {
 protected:
  Finished sh(const std::string& script, const std::string& input = {}) const {
    return guest({"run", "shell", script}, input);
  }
  // A program that notes its process and that of a child, and runs on.
  std::string lasting() const {
    const auto file = daemon_.directory() / "pids";
    return "sleep 1000 & echo $$ $! > " + file + ".new; mv " + file + ".new " + file + "; echo up; wait";
  }
  bool both_end() const {
    pid_t pid = 0, child = 0;
    if (!(std::ifstream(daemon_.directory() / "pids") >> pid >> child)) return false;
    return eventually([&] { return ::kill(pid, 0) != 0 && ::kill(child, 0) != 0; });
  }
};

TEST_F(RunCli, InputOutputErrorsAndExitCodeAreTheProgramsOwn) {
  const auto run = sh("cat; echo errors >&2; exit 7", "input");
  EXPECT_EQ(run.code, 7);
  EXPECT_EQ(run.output, "input");
  EXPECT_EQ(run.errors, "errors\n");
  EXPECT_EQ(sh("echo $HOSTCALL_VM $HOSTCALL_SERVICE").output, "web1 shell\n");
}

// Also the codes that are hostcall's own.
TEST_F(RunCli, EveryExitCodeIsPassedOn) {
  for (const int code : {1, 2, 123, 124, 125, 126, 127, 255}) {
    const auto run = sh("exit " + std::to_string(code));
    EXPECT_EQ(run.code, code);
    EXPECT_EQ(run.errors, "");
  }
  const auto killed = sh("kill -9 $$");
  EXPECT_EQ(killed.code, 137);
  EXPECT_EQ(killed.errors, "");
}

TEST_F(RunCli, FailuresOfItsOwnHaveALine) {
  expect_code(guest({"run", "nothing"}), 127, "no service \"nothing\"");
  expect_code(guest({"run", "echo"}), 127, "echo");
  expect_code(guest({"run", "denied", "true"}), 126, "denied by 50-test.json");
  expect_code(guest({"run", "words", "CAPITALS"}), 126, "INVALID_ARGUMENT");
  expect_code(guest({"run", "shell", "true", "more"}), 126, "INVALID_ARGUMENT");
  expect_code(guest({"run", "brief"}), 124, "timeout");
}

TEST_F(RunCli, APlaceAtTheServiceIsWaitedFor) {
  const auto run = shell(R"(
      mkfifo "$DIR/hold" && exec 3<>"$DIR/hold"
      $HOSTCALL run alone 'echo runs; read line' <&3 >"$DIR/first" &
      until grep -q runs "$DIR/first"; do sleep 0.01; done
      $HOSTCALL --timeout 300ms run alone 'echo second'; echo "code $?"
      $HOSTCALL run alone 'echo third' & third=$!
      sleep 0.2; echo >&3; wait $third; echo "code $?")");
  EXPECT_EQ(run.output, "code 123\nthird\ncode 0\n");
  EXPECT_TRUE(contains(run.errors, "the limit concurrent (1) of the service \"alone\" is reached")) << run.errors;
}

TEST_F(RunCli, WordsBehindTheNameAreTheProgramsAsTheyAre) {
  EXPECT_EQ(guest({"run", "words", "-q", "--help", "", "a b", "--"}).output, "[-q][--help][][a b][--]");
}

TEST_F(RunCli, AnInputThatIsClosedOrNothingHasEnded) {
  for (const auto* input : {"< /dev/null", "<&-"}) {
    const auto run = shell(std::string("$HOSTCALL run shell 'wc -c' ") + input);
    EXPECT_EQ(run.code, 0) << run.errors;
    EXPECT_EQ(run.output, "0\n");
  }
}

TEST_F(RunCli, AProgramThatEndsIsNotHeldUpByInput) {
  EXPECT_EQ(shell("mkfifo $DIR/in; exec 3<> $DIR/in; $HOSTCALL run shell 'exit 5' <&3; echo $?").output, "5\n");
}

TEST_F(RunCli, SignalsKillTheProgramAndItsChildren) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    Process run(guest_words({"run", "shell", lasting()}));
    ASSERT_TRUE(run.wait_until([&] { return run.output() == "up\n"; })) << run.errors();
    run.signal(number);
    EXPECT_EQ(run.wait(), 128 + number);
    EXPECT_EQ(run.errors(), "");
    EXPECT_TRUE(both_end());
  }
}

TEST_F(RunCli, TheDeadlineKillsTheProgramAndItsChildren) {
  const auto run = guest({"--timeout", "700ms", "run", "shell", lasting()});
  EXPECT_EQ(run.code, 124) << run.errors;
  EXPECT_TRUE(run.output.empty() || both_end());
}

TEST_F(RunCli, AReaderThatGoesKillsTheProgramAndItsChildren) {
  Process run(shell_words("$HOSTCALL run shell '" + lasting() + "' | head -n 1"), shell_options());
  EXPECT_EQ(run.wait(), 0) << run.errors();
  EXPECT_EQ(run.output(), "up\n");
  EXPECT_TRUE(both_end());
}

TEST_F(RunCli, MemoryIsBoundedHoweverMuchIsPiped) {
  Process run(shell_words("head -c " + std::to_string(kMuch) +
                          " /dev/zero | { exec $HOSTCALL run shell cat; } | { sleep 1; wc -c; }"),
              shell_options());
  EXPECT_EQ(run.wait(), 0) << run.errors();
  EXPECT_EQ(run.output(), std::to_string(kMuch) + "\n");
  EXPECT_LT(daemon_.process().peak_rss_kib(), (kSanitized ? 256U : 48U) * 1024);
}

}  // namespace
}  // namespace hostcall::test
