// From argv to a verb: options in any place, values as they are, errors with exit code 2.
#include <gtest/gtest.h>

#include <cstdlib>

#include "client/cli/verb.h"

namespace hostcall::cli {
namespace {

// What the verb of the last run was given.
struct Seen {
  int runs = 0;
  Common common;
  std::string name;
  std::optional<std::string> json;
  std::vector<std::string> tags;
  std::optional<std::uint64_t> count;
  bool flag = false;
};
Seen seen;

class Recorder : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("NAME", seen_.name, "A name.");
    arguments.positional("JSON", seen_.json, "A document.");
    arguments.option("--tag", "TAG", seen_.tags, "Tags.");
    arguments.option("-c,--count", "N", seen_.count, {1, 10}, "A count.");
    arguments.flag("--flag", seen_.flag, "A flag.");
  }
  ExitCode run(Invocation& invocation) override {
    seen = seen_;
    seen.common = invocation.common();
    seen.runs = 1;
    return ExitCode::kDone;
  }

 private:
  Seen seen_;
};

class Failing : public Verb {
 public:
  ExitCode run(Invocation&) override { throw Failure{ExitCode::kDenied, "denied"}; }
};

Program program() {
  return {.name = "test",
          .help = "Tests.\n",
          .examples = "  test\n",
          .endpoint = {"--address", "ADDRESS", "CLI_TEST_ADDRESS", "unix:/default", "", "Where."},
          .verbs = {{"record", "records", "Records.\n", "  test record\n",
                     []() -> std::unique_ptr<Verb> { return std::make_unique<Recorder>(); }},
                    {"group fail", "fails", "Fails.\n", "  test group fail\n",
                     []() -> std::unique_ptr<Verb> { return std::make_unique<Failing>(); }}},
          .takes_privileged_port = false,
          .refine = nullptr};
}

struct Run {
  int code;
  std::string output, errors;
};

Run run(const Program& program, std::vector<std::string> words) {
  words.insert(words.begin(), "test");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  seen = {};
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_program(program, static_cast<int>(words.size()), argv.data());
  auto output = testing::internal::GetCapturedStdout();
  return {code, std::move(output), testing::internal::GetCapturedStderr()};
}
Run run(std::vector<std::string> words) { return run(program(), std::move(words)); }

TEST(Program, CommonOptionsStandBeforeOrAfterTheVerb) {
  for (const auto& words : {std::vector<std::string>{"--timeout", "5", "--json", "--wait", "-q", "record", "x"},
                            std::vector<std::string>{"record", "x", "-q", "--timeout=5s", "--wait", "--json"}}) {
    EXPECT_EQ(run(words).code, 0);
    EXPECT_EQ(seen.runs, 1);
    EXPECT_EQ(seen.common.timeout, seconds(5));
    EXPECT_TRUE(seen.common.json);
    EXPECT_TRUE(seen.common.quiet);
    EXPECT_TRUE(seen.common.wait);
    EXPECT_EQ(seen.name, "x");
  }
}

TEST(Program, APrivilegedPortIsForProgramsThatTakeIt) {
  EXPECT_EQ(run({"record", "x", "--privileged-port"}).code, 2);
  EXPECT_EQ(run({"--help"}).output.find("--privileged-port"), std::string::npos);
  auto on_vsock = program();
  on_vsock.takes_privileged_port = true;
  EXPECT_EQ(run(on_vsock, {"record", "x", "--privileged-port"}).code, 0);
  EXPECT_TRUE(seen.common.privileged_port);
  EXPECT_EQ(run(on_vsock, {"record", "x"}).code, 0);
  EXPECT_FALSE(seen.common.privileged_port);
  EXPECT_NE(run(on_vsock, {"--help"}).output.find("--privileged-port"), std::string::npos);
}

TEST(Program, DefaultsAreTheDocumentedOnes) {
  ASSERT_EQ(run({"record", "x"}).code, 0);
  EXPECT_FALSE(seen.common.timeout);
  EXPECT_EQ(seen.common.address, "unix:/default");
  EXPECT_FALSE(seen.common.json);
  EXPECT_FALSE(seen.common.wait);
  EXPECT_EQ(seen.json, std::nullopt);
  EXPECT_EQ(seen.count, std::nullopt);
}

TEST(Program, TheAddressComesFromOptionThenEnvironment) {
  ::setenv("CLI_TEST_ADDRESS", "unix:/environment", 1);
  EXPECT_EQ(run({"record", "x"}).code, 0);
  EXPECT_EQ(seen.common.address, "unix:/environment");
  EXPECT_EQ(run({"record", "x", "--address", "unix:/option"}).code, 0);
  EXPECT_EQ(seen.common.address, "unix:/option");
  ::setenv("CLI_TEST_ADDRESS", "", 1);
  EXPECT_EQ(run({"record", "x"}).code, 0);
  EXPECT_EQ(seen.common.address, "unix:/default");
  ::unsetenv("CLI_TEST_ADDRESS");
}

TEST(Program, AValueOfThePathMakesTheAddress) {
  auto with_path = program();
  with_path.endpoint = {"--socket", "PATH", "CLI_TEST_SOCKET", "/default", "unix:", "Where."};
  EXPECT_EQ(run(with_path, {"--socket", "/x", "record", "y"}).code, 0);
  EXPECT_EQ(seen.common.address, "unix:/x");
}

TEST(Program, ValuesAreTakenAsTheyAre) {
  for (const auto* json : {"{\"a\": [1, 2]}", "[1,2]", "-", "{}", "\"text, with commas\"", "record", "group"}) {
    EXPECT_EQ(run({"record", "x", json}).code, 0) << json;
    EXPECT_EQ(seen.json, json);
  }
}

TEST(Program, RepeatedOptionsAreListsAndSwallowNothing) {
  EXPECT_EQ(run({"record", "--tag", "a", "--tag", "b", "x", "y"}).code, 0);
  EXPECT_EQ(seen.tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(seen.name, "x");
  EXPECT_EQ(seen.json, "y");
}

TEST(Program, NumbersKeepTheirBounds) {
  EXPECT_EQ(run({"record", "x", "-c", "10"}).code, 0);
  EXPECT_EQ(seen.count, 10U);
  for (const auto* count : {"0", "11", "-1", "1.5", "x", "", "1x"}) {
    const auto result = run({"record", "x", "-c", count});
    EXPECT_EQ(result.code, 2) << count;
    EXPECT_EQ(seen.runs, 0) << count;
  }
  EXPECT_NE(run({"record", "x", "-c", "11"}).errors.find("from 1 to 10"), std::string::npos);
}

TEST(Program, WrongUsageIsOneLineThatNamesTheHelp) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "a verb is missing; see test --help"},
      {{"nothing"}, "no such verb: nothing; see test --help"},
      {{"group"}, "a verb is missing; see test group --help"},
      {{"group", "nothing"}, "no such verb: nothing; see test group --help"},
      {{"record"}, "see test record --help"},
      {{"record", "x", "--nothing"}, "unexpected argument: --nothing; see test record --help"},
      {{"record", "x", "y", "z"}, "unexpected argument: z; see test record --help"},
      {{"record", "x", "--timeout", "soon"}, "\"soon\" is not a time"},
      {{"record", "x", "--timeout"}, "see test record --help"},
  };
  for (const auto& [words, text] : cases) {
    const auto result = run(words);
    EXPECT_EQ(result.code, 2) << text;
    EXPECT_EQ(result.errors.rfind("test: ", 0), 0U) << result.errors;
    EXPECT_NE(result.errors.find(text), std::string::npos) << result.errors;
    EXPECT_EQ(std::ranges::count(result.errors, '\n'), 1) << result.errors;
    EXPECT_EQ(result.output, "");
  }
}

TEST(Program, AFailureIsOneLineAndItsExitCode) {
  const auto result = run({"group", "fail"});
  EXPECT_EQ(result.code, 126);
  EXPECT_EQ(result.errors, "test: denied\n");
  EXPECT_EQ(result.output, "");
}

TEST(Program, AProgramMayRefineAFailure) {
  auto refined = program();
  refined.refine = [](Failure failure, const Common& common) {
    return Failure{ExitCode::kUnreachable, failure.text + " at " + common.address};
  };
  const auto result = run(refined, {"group", "fail"});
  EXPECT_EQ(result.code, 125);
  EXPECT_EQ(result.errors, "test: denied at unix:/default\n");
}

TEST(Program, HelpAndVersionGoToStandardOutput) {
  EXPECT_EQ(run({"--version"}).output, "test " HOSTCALL_VERSION "\n");
  const auto whole = run({"--help"});
  EXPECT_EQ(whole.code, 0);
  EXPECT_NE(whole.output.find("group fail"), std::string::npos);
  EXPECT_NE(whole.output.find("126"), std::string::npos);
  const auto verb = run({"record", "-h"});
  EXPECT_EQ(verb.code, 0);
  EXPECT_NE(verb.output.find("Usage: test record [OPTION]... NAME [JSON]\n"), std::string::npos) << verb.output;
  EXPECT_NE(verb.output.find("-c, --count N"), std::string::npos) << verb.output;
  const auto group = run({"group", "--help"});
  EXPECT_EQ(group.code, 0);
  EXPECT_NE(group.output.find("group fail"), std::string::npos);
  EXPECT_EQ(group.output.find("record"), std::string::npos);
}

}  // namespace
}  // namespace hostcall::cli
