// hostcall run.
#include <csignal>
#include <cstdio>
#include <map>

#include "tests/unit/client/hostcall/verb_fixture.h"

namespace hostcall::test {
namespace {

class Run : public VerbFixture {
 protected:
  Run() : VerbFixture("run") {}
};

TEST_F(Run, ItsInputIsTheProgramsAndTheProgramsOutputIsItsOwn) {
  std::string bytes;
  for (int i = 0; i < 300'000; ++i) bytes += static_cast<char>(i * 7 % 256);
  const auto cat = run({"cat"}, bytes);
  EXPECT_EQ(cat.code, 0) << cat.errors;
  EXPECT_EQ(cat.output, bytes);
  EXPECT_EQ(cat.errors, "");
}

TEST_F(Run, ArgumentsBehindTheNameAreTheProgramsAsTheyAre) {
  const Words odd{"--timeout", "0", "-q", "--", "--json", "-h", "a b", "", "--x=", "[]", "\xff\n", "run"};
  auto all = odd;
  all.insert(all.begin(), "words");
  std::string expected;
  for (const auto& word : odd) expected += "[" + word + "]";
  EXPECT_EQ(run(all).output, expected);
  EXPECT_EQ(run({"--timeout", "5m", "-q", "words", "x"}).output, "[x]");
  EXPECT_EQ(run({"--timeout=5m", "--", "words", "-x"}).output, "[-x]");
  EXPECT_EQ(run({"words"}).output, "");
}

// Also the codes that are hostcall's own: what tells them apart is standard error.
TEST_F(Run, ItsExitCodeIsTheProgramsAndNothingIsAdded) {
  for (const int code : {0, 1, 2, 42, 123, 124, 125, 126, 127, 255}) {
    const auto run = this->run({"ended", std::to_string(code), "0", ""});
    EXPECT_EQ(run.code, code);
    EXPECT_EQ(run.output, "out");
    EXPECT_EQ(run.errors, "err");
  }
  EXPECT_EQ(run({"ended", "256", "0", ""}).code, 255) << "not 0";
}

TEST_F(Run, ASignalIs128AndItsNumber) {
  for (const int number : {2, 9, 15}) {
    const auto run = this->run({"ended", "0", std::to_string(number), ""});
    EXPECT_EQ(run.code, 128 + number);
    EXPECT_EQ(run.errors, "err");
  }
}

TEST_F(Run, TheHostsReasonIsTold) {
  const auto run = this->run({"ended", "0", "9", "no \x1bmemory"});
  EXPECT_EQ(run.code, 137);
  EXPECT_EQ(run.errors, "errhostcall: the host has ended the program: no \\x1bmemory\n");
}

// 1 and 2 would be taken for the program's.
TEST_F(Run, ItsOwnFailuresAre123To127WithALine) {
  const std::map<std::string, int> codes{{"5", 127},      {"12", 127},    {"7", 126},  {"3", 126},
                                         {"8", 125},      {"9", 125},     {"14", 125}, {"4", 124},
                                         {"vanish", 125}, {"break", 125}, {"6", 125}};
  for (const auto& [service, code] : codes) {
    const auto run = this->run({service});
    EXPECT_EQ(run.code, code) << service << run.errors;
    EXPECT_NE(run.errors.find("hostcall: "), std::string::npos) << run.errors;
  }
  EXPECT_EQ(run({"--timeout", "100ms", "hang"}).code, 124);
  EXPECT_EQ(run({"--timeout", "100ms", "sleep"}).code, 124);
  EXPECT_EQ(run({}).code, 2);
  EXPECT_EQ(run({"--json", "cat"}).code, 2);
  for (const auto& name :
       {std::string("Cat"), std::string("acme.v1.Inventory"), std::string("a/b"), std::string(65, 'a')})
    EXPECT_EQ(run({name}).code, 2) << name;
}

TEST_F(Run, ALostConnectionLeavesTheOutcomeUnknown) {
  EXPECT_NE(run({"break"}).errors.find("outcome is unknown"), std::string::npos);
}

TEST_F(Run, AnInputThatIsClosedOrNothingHasEnded) {
  for (const auto* input : {"< /dev/null", "<&-"}) {
    const auto run = shell(std::string("$VERB cat ") + input);
    EXPECT_EQ(run.code, 0) << run.errors;
    EXPECT_EQ(run.output, "");
  }
}

TEST_F(Run, AProgramThatEndsIsNotHeldUpByInput) {
  const auto run = shell("$VERB ended 7 0 '' <&3; echo \" $?\"");
  EXPECT_EQ(run.output, "out 7\n") << run.errors;
}

TEST_F(Run, ALimitThatPassesIsWaitedForAndNoByteIsLost) {
  const auto run = this->run({"later"}, "kept");
  EXPECT_EQ(run.code, 0) << run.errors;
  EXPECT_EQ(run.output, "kept");
}

TEST_F(Run, SignalsEndIt) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    Process run(words({"endless"}));
    ASSERT_TRUE(run.wait_until([&] { return run.output().size() > 1'000'000; })) << run.errors();
    run.signal(number);
    EXPECT_EQ(run.wait(), 128 + number);
    EXPECT_EQ(run.errors(), "");
  }
}

TEST_F(Run, AReaderThatGoesEndsIt) {
  const auto flood = shell("$VERB endless <&3 | head -c 10; echo \" ${PIPESTATUS[0]}\"");
  EXPECT_EQ(flood.output, "eeeeeeeeee 141\n") << flood.errors;
  const auto silent = shell("$VERB sleep <&3 | true; echo ${PIPESTATUS[0]}");
  EXPECT_EQ(silent.output, "141\n") << silent.errors;
  const auto errors = shell("{ $VERB sleep <&3 2>&1 >&5 | true; echo ${PIPESTATUS[0]}; } 5> $DIR/out");
  EXPECT_EQ(errors.output, "141\n") << errors.errors;
}

TEST_F(Run, AFullDiskIsNoSuccess) {
  const auto run = shell("$VERB ended 0 0 '' > /dev/full; echo $?");
  EXPECT_EQ(run.output, "125\n");
  EXPECT_NE(run.errors.find("No space left on device"), std::string::npos) << run.errors;
}

// Ctrl-C is heard although nobody reads the output.
TEST_F(Run, AReaderThatDoesNotReadBoundsItsMemory) {
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
