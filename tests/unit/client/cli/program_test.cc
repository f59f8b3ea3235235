// From argv to a verb: options in any place, values as they are, errors with exit code 2.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <new>

#include "client/cli/interrupt.h"
#include "client/cli/verb.h"

namespace hostcall::cli {
namespace {

// What the verb of the last run was given.
struct Seen {
  int runs = 0;
  Common common;
  std::string name;
  std::optional<std::string> json;
  std::vector<std::string> tags, files;
  std::optional<std::string> text, file;
  std::optional<std::uint64_t> count;
  milliseconds pause{};
  bool flag = false;
};
Seen seen;

class Recorder : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("NAME", seen_.name, "A name.");
    arguments.positional("JSON", seen_.json, "A document.");
    arguments.option("--tag", "TAG", seen_.tags, "Tags.");
    arguments.option("--text", "TEXT", seen_.text, "A text.");
    arguments.option("--file", "FILE", seen_.file, "A file.");
    arguments.not_empty();
    arguments.option("-c,--count", "N", seen_.count, {1, 10}, "A count.");
    arguments.option("--pause", seen_.pause, {milliseconds(100), std::chrono::minutes(10)}, "A pause.");
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

class Files : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.positional("FILE", seen_.files, "Files.");
    arguments.option("--vm", "NAME", seen_.name, "A name.");
    arguments.required();
  }
  ExitCode run(Invocation&) override {
    seen = seen_;
    return ExitCode::kDone;
  }

 private:
  Seen seen_;
};

// Takes the words of another program.
class Wrapper : public Verb {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("--flag", seen_.flag, "A flag.");
    arguments.option("-c,--count", "N", seen_.count, {1, 10}, "A count.");
    arguments.positional("NAME", seen_.name, "A name.");
    arguments.rest("WORD", seen_.files, "Words.");
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

// Ends as its argument says.
class Failing : public Verb {
 public:
  void declare(Arguments& arguments) override { arguments.positional("HOW", how_, "How."); }
  ExitCode run(Invocation&) override {
    if (how_ == "memory") throw std::bad_alloc();
    if (how_ == "file") throw std::filesystem::filesystem_error("can't list", "/a", std::error_code());
    if (how_ == "number") throw 7;
    if (how_ == "signal") throw SignalEnd{SIGINT};
    if (how_ == "callback") callback();
    throw Failure{ExitCode::kDenied, "denied"};
  }

 private:
  static void fail() { throw std::bad_alloc(); }
  static void callback() noexcept { fail(); }
  std::optional<std::string> how_;
};

Program program() {
  return {.name = "test",
          .help = "Tests.\n",
          .examples = "  test\n",
          .endpoint = {"--address", "ADDRESS", "CLI_TEST_ADDRESS", "unix:/default", "", "Where."},
          .verbs = {{"record", "records", "Records.\n", "  test record\n",
                     []() -> std::unique_ptr<Verb> { return std::make_unique<Recorder>(); }},
                    {"files", "takes files", "Files.\n", "  test files\n",
                     []() -> std::unique_ptr<Verb> { return std::make_unique<Files>(); }},
                    {"wrap", "wraps", "Wraps.\n", "  test wrap\n",
                     []() -> std::unique_ptr<Verb> { return std::make_unique<Wrapper>(); }},
                    {"group wrap", "wraps", "Wraps.\n", "  test group wrap\n",
                     []() -> std::unique_ptr<Verb> { return std::make_unique<Wrapper>(); }},
                    {"group fail", "fails", "Fails.\n", "  test group fail\n",
                     []() -> std::unique_ptr<Verb> { return std::make_unique<Failing>(); }}},
          .takes_privileged_port = false,
          .refine = nullptr};
}

struct Run {
  int code;
  std::string output, errors;
};

int run_uncaptured(const std::function<Program()>& make, std::vector<std::string> words) {
  words.insert(words.begin(), "test");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  seen = {};
  return run_program("test", make, static_cast<int>(words.size()), argv.data());
}
Run run(const Program& program, std::vector<std::string> words) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_uncaptured([&] { return program; }, std::move(words));
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

TEST(Program, WordsBehindAWrappersNameAreLeftAlone) {
  const std::vector<std::string> words{"--flag", "-q", "--", "--count=", "x]", "", "--help", "wrap", "--timeout"};
  for (std::vector<std::string> start : {std::vector<std::string>{"wrap", "name"},
                                         {"group", "wrap", "name"},
                                         {"--timeout", "5", "wrap", "-c", "3", "name"},
                                         {"--timeout=5", "-q", "wrap", "-qc", "3", "name"},
                                         {"wrap", "-qc3", "--", "name"}}) {
    start.insert(start.end(), words.begin(), words.end());
    EXPECT_EQ(run(start).code, 0);
    EXPECT_EQ(seen.runs, 1);
    EXPECT_EQ(seen.name, "name");
    EXPECT_EQ(seen.files, words);
    EXPECT_FALSE(seen.flag);
  }
}

TEST(Program, OptionsBeforeAWrappersNameAreItsOwn) {
  EXPECT_EQ(run({"-q", "wrap", "--flag", "--json", "--count", "7", "name", "--count", "8"}).code, 0);
  EXPECT_TRUE(seen.flag);
  EXPECT_TRUE(seen.common.quiet);
  EXPECT_TRUE(seen.common.json);
  EXPECT_EQ(seen.count, 7U);
  EXPECT_EQ(seen.files, (std::vector<std::string>{"--count", "8"}));
  EXPECT_EQ(run({"wrap", "--", "--flag"}).code, 0);
  EXPECT_EQ(seen.name, "--flag");
  EXPECT_TRUE(seen.files.empty());
  for (const auto& wrong : {std::vector<std::string>{"wrap"},
                            {"wrap", "--"},
                            {"wrap", "--nothing", "name"},
                            {"wrap", "--count", "name"},
                            {"--count", "3", "wrap", "name"},
                            {"--", "wrap", "name", "-q"},
                            {"nothing", "wrap", "name"}})
    EXPECT_EQ(run(wrong).code, 2);
  const auto help = run({"wrap", "--help", "name"});
  EXPECT_NE(help.output.find("NAME [WORD]..."), std::string::npos) << help.output;
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
  for (const auto& path : {std::string("run/x"), std::string("/") + std::string(107, 'x')}) {
    const auto refused = run(with_path, {"--socket", path.c_str(), "record", "y"});
    EXPECT_EQ(refused.code, 2);
    EXPECT_NE(refused.errors.find("--socket or $CLI_TEST_SOCKET: \"" + path + "\": "), std::string::npos)
        << refused.errors;
    EXPECT_EQ(refused.errors.find("vsock:"), std::string::npos) << "the forms of an address are of no use here";
  }
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

TEST(Program, AnOptionWithNothingBehindItsEqualsSignIsEmpty) {
  EXPECT_EQ(run({"record", "x", "--text=", "y"}).code, 0);
  EXPECT_EQ(seen.text, "");
  EXPECT_EQ(seen.json, "y");
  EXPECT_EQ(run({"record", "--text", "", "x", "y"}).code, 0);
  EXPECT_EQ(seen.text, "");
  EXPECT_EQ(seen.json, "y");
  EXPECT_EQ(run({"record", "--tag=", "--tag=a", "x", "--tag="}).code, 0);
  EXPECT_EQ(seen.tags, (std::vector<std::string>{"", "a", ""}));
  EXPECT_EQ(run({"record", "x"}).code, 0);
  EXPECT_EQ(seen.text, std::nullopt);
  EXPECT_EQ(run({"record", "x", "--text=--tag="}).code, 0);
  EXPECT_EQ(seen.text, "--tag=");
  EXPECT_EQ(run({"record", "x", "--text", "--tag="}).code, 0) << "what follows an option is its value";
  EXPECT_EQ(seen.text, "--tag=");
  EXPECT_EQ(run({"record", "x", "--", "--text="}).code, 0);
  EXPECT_EQ(seen.json, "--text=");
  for (const auto& words : {std::vector<std::string>{"record", "x", "--count=", "5"},
                            {"record", "x", "--timeout=", "5"},
                            {"record", "x", "--file=", "y"},
                            {"record", "x", "--file", "", "y"},
                            {"--address=", "record", "x"},
                            {"record", "x", "--address", ""}}) {
    EXPECT_EQ(run(words).code, 2) << words.back();
    EXPECT_EQ(seen.runs, 0) << words.back();
  }
}

TEST(Program, AFlagTakesNoValue) {
  for (const auto* flag : {"--flag=", "--flag=true=", "--flag=false", "--flag=1", "--json=", "--json=no"})
    EXPECT_NE(run({"record", "x", flag}).errors.find("takes no value"), std::string::npos) << flag;
  EXPECT_EQ(run({"record", "x", "--flag", "--flag", "-qq"}).code, 0) << "as often as one likes";
  EXPECT_TRUE(seen.flag);
}

TEST(Program, AnOptionWithoutAListIsGivenOnce) {
  for (const auto& words : {std::vector<std::string>{"record", "x", "--text", "a", "--text", "b"},
                            {"record", "x", "--timeout", "1", "--timeout", "2"},
                            {"record", "x", "-c", "1", "--count", "2"}}) {
    const auto result = run(words);
    EXPECT_EQ(result.code, 2);
    EXPECT_NE(result.errors.find(" is given more than once; see test record --help"), std::string::npos)
        << result.errors;
  }
}

TEST(Program, AListOfWordsIsTakenAsItIs) {
  EXPECT_EQ(run({"files", "a", "[b,c]", "", "{}", "--vm", "n", "d e", "-"}).code, 0);
  EXPECT_EQ(seen.files, (std::vector<std::string>{"a", "[b,c]", "", "{}", "d e", "-"}));
  EXPECT_EQ(run({"record", "--tag", "[a,b]", "--tag=[]", "x", "[]"}).code, 0);
  EXPECT_EQ(seen.tags, (std::vector<std::string>{"[a,b]", "[]"}));
  EXPECT_EQ(seen.json, "[]");
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
      {{"record"}, "test: NAME is missing; see test record --help\n"},
      {{"files", "a"}, "test: --vm NAME is missing; see test files --help\n"},
      {{"record", "x", "-c"}, "test: -c needs a value; see test record --help\n"},
      {{"record", "x", "--tag"}, "test: --tag needs a value; see test record --help\n"},
      {{"record", "x", "--nothing="}, "no such option: --nothing=; see test record --help"},
      {{"record", "x", "y", "[z]"}, "unexpected argument: [z]; see test record --help"},
      {{"record", "x", "y", "\x1b[2J"}, "unexpected argument: \\x1b[2J; see test record --help"},
      {{"record", "x", "--nothing"}, "no such option: --nothing; see test record --help"},
      {{"-V"}, "no such option: -V; see test --help"},
      {{"record", "x", "-qV"}, "no such option: -V; see test record --help"},
      {{"record", "--", "--nothing", "y", "z"}, "test: unexpected argument: z; see test record --help\n"},
      {{"record", "--", "x", "y", "--nothing"}, "unexpected argument: --nothing; see test record --help"},
      {{"help", "record"}, "no such verb: help; see test record --help"},
      {{"group", "help", "fail"}, "no such verb: help; see test group fail --help"},
      {{"--"}, "a verb is missing; see test --help"},
      {{"nothing", "--help"}, "no such verb: nothing; see test --help"},
      {{"", "--help"}, "no such verb: \"\"; see test --help"},
      {{"group", "nothing", "--help"}, "no such verb: nothing; see test group --help"},
      {{"--nothing", "--help"}, "no such option: --nothing; see test --help"},
      {{"record", "x", "y", "z"}, "unexpected argument: z; see test record --help"},
      {{"record", "x", "--timeout", "soon"}, "\"soon\" is not a time from 1ms to 720h; write 5, 5s,"},
      {{"record", "x", "--pause", "50ms"}, "--pause: \"50ms\" is not a time from 100ms to 10m; write 5, 5s,"},
      {{"record", "x", "--pause", "11m"}, "--pause: \"11m\" is not a time from 100ms to 10m; write 5, 5s,"},
      {{"record", "x", "--timeout"}, "test: --timeout needs a value; see test record --help\n"},
      {{"record", "x", "-c", "x\n"}, "--count: \"x\\x0a\" is not a whole number from 1 to 10; see test record --help"},
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

TEST(Program, WhateverIsThrownIsOneLineAndExitCode125) {
  for (const auto& [how, text] : {std::pair<const char*, const char*>{"memory", "there is not enough memory"},
                                  {"file", "can't list"},
                                  {"number", "an exception of an unknown type"}}) {
    const auto result = run({"group", "fail", how});
    EXPECT_EQ(result.code, 125) << how;
    EXPECT_EQ(result.errors.rfind("test: ", 0), 0U) << result.errors;
    EXPECT_NE(result.errors.find(text), std::string::npos) << result.errors;
    EXPECT_EQ(std::ranges::count(result.errors, '\n'), 1) << result.errors;
  }
  testing::internal::CaptureStderr();
  EXPECT_EQ(run_uncaptured([]() -> Program { throw std::bad_alloc(); }, {}), 125);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "test: there is not enough memory\n");
}

TEST(ProgramDeathTest, WhatLeavesACallbackIsOneLineAndExitCode125) {
  EXPECT_EXIT(run_uncaptured(program, {"group", "fail", "callback"}), testing::ExitedWithCode(125),
              "^test: there is not enough memory\n$");
}

TEST(ProgramDeathTest, ARunThatASignalEndsDiesOfIt) {
  EXPECT_EXIT(run_uncaptured(program, {"group", "fail", "signal"}), testing::KilledBySignal(SIGINT), "^$");
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
  EXPECT_EQ(run({"--help", "--"}).output, whole.output);
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
