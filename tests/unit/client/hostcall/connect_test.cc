// hostcall connect.
#include <csignal>
#include <cstdio>
#include <map>

#include "tests/unit/client/hostcall/verb_fixture.h"

namespace hostcall::test {
namespace {

class Connect : public VerbFixture {
 protected:
  Connect() : VerbFixture("connect") {}
};

TEST_F(Connect, CarriesBytesBothWaysUpToTheirEnds) {
  std::string bytes;
  for (int i = 0; i < 300'000; ++i) bytes += static_cast<char>(i * 7 % 256);
  const auto echo = run({"echo"}, bytes);
  EXPECT_EQ(echo.code, 0) << echo.errors;
  EXPECT_EQ(echo.output, bytes);
  EXPECT_EQ(echo.errors, "");
}

TEST_F(Connect, AnInputThatIsClosedOrNothingHasEnded) {
  for (const auto* input : {"< /dev/null", "<&-"}) {
    const auto run = shell(std::string("$VERB count ") + input);
    EXPECT_EQ(run.code, 0) << run.errors;
    EXPECT_EQ(run.output, "0");
  }
}

// cat sees the end of the service although connect still waits for the end of its own input.
TEST_F(Connect, TheServicesEndIsPassedOnBeforeItsOwn) {
  const auto run = shell(
      "mkfifo $DIR/in $DIR/out; $VERB farewell < $DIR/in > $DIR/out & exec 4> $DIR/in; cat $DIR/out; "
      "kill -0 $! && echo ' runs'; exec 4>&-; wait $!; echo \"code $?\"");
  EXPECT_EQ(run.output, "bye runs\ncode 0\n") << run.errors;
}

// socat and others give one socket for both: the end has to be a shutdown.
TEST_F(Connect, OneSocketForBothEndsIsShutDown) {
  const auto run = shell(
      "python3 -c 'import os, socket, subprocess\n"
      "ours, theirs = socket.socketpair()\n"
      "child = subprocess.Popen(os.environ[\"VERB\"].split() + [\"farewell\"], stdin=theirs, stdout=theirs)\n"
      "theirs.close()\n"
      "print(ours.makefile(\"rb\").read(), child.poll())\n"
      "ours.shutdown(socket.SHUT_WR)\n"
      "print(child.wait(60))'");
  EXPECT_EQ(run.output, "b'bye' None\n0\n") << run.errors;
}

TEST_F(Connect, ExitCodesAreThoseOfAllVerbs) {
  const std::map<std::string, int> codes{{"5", 127},  {"7", 126}, {"3", 126},  {"8", 125},
                                         {"14", 125}, {"4", 124}, {"12", 127}, {"9", 125}};
  for (const auto& [service, code] : codes) {
    const auto run = this->run({service});
    EXPECT_EQ(run.code, code) << service << run.errors;
    EXPECT_TRUE(run.errors.starts_with("hostcall: ")) << run.errors;
  }
  EXPECT_EQ(run({}).code, 2);
  EXPECT_EQ(run({""}).code, 2);
  EXPECT_EQ(run({"\xff"}).code, 2);
  EXPECT_EQ(run({"Echo"}).code, 2);
  EXPECT_EQ(run({"echo", "--json"}).code, 2);
}

TEST_F(Connect, ALimitThatPassesIsWaitedForAndNoByteIsLost) {
  const auto run = this->run({"later"}, "kept");
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_EQ(run.output, "kept");
}

TEST_F(Connect, ATimeoutThatIsGivenBoundsEverything) {
  EXPECT_EQ(run({"hang", "--timeout", "100ms"}).code, 124);
  const auto silent = shell("$VERB echo --timeout 100ms <&3; echo $?");
  EXPECT_EQ(silent.output, "124\n");
}

TEST_F(Connect, ALostConnectionIs125) {
  const auto run = this->run({"break"});
  EXPECT_EQ(run.code, 125);
  EXPECT_EQ(run.errors.find("outcome is unknown"), std::string::npos) << run.errors;
}

TEST_F(Connect, SignalsEndIt) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    Process run(words({"endless"}));
    ASSERT_TRUE(run.wait_until([&] { return run.output().size() > 1'000'000; })) << run.errors();
    run.signal(number);
    EXPECT_EQ(run.wait(), 128 + number);
    EXPECT_EQ(run.errors(), "");
  }
}

TEST_F(Connect, AReaderThatGoesEndsIt) {
  const auto flood = shell("$VERB endless <&3 | head -c 10; echo \" ${PIPESTATUS[0]}\"");
  EXPECT_EQ(flood.output, "eeeeeeeeee 141\n") << flood.errors;
  const auto silent = shell("$VERB echo <&3 | true; echo ${PIPESTATUS[0]}");
  EXPECT_EQ(silent.output, "141\n") << silent.errors;
}

// Ctrl-C is heard although nobody reads the output, and a slow reader holds the host back.
TEST_F(Connect, AReaderThatDoesNotReadBoundsItsMemory) {
  const auto run = shell(
      "coproc { exec $VERB endless <&3; }; sleep 0.5; grep VmHWM /proc/$COPROC_PID/status; "
      "kill -INT $COPROC_PID; wait $COPROC_PID; echo $?");
  int kib = 0, code = 0;
  ASSERT_EQ(std::sscanf(run.output.c_str(), "VmHWM: %d kB %d", &kib, &code), 2) << run.output << run.errors;
  EXPECT_LT(kib, 64 * 1024);
  EXPECT_EQ(code, 130);
}

}  // namespace
}  // namespace hostcall::test
