// The exit code of every status code, and the text of a failure.
#include "client/cli/exit_code.h"

#include <gtest/gtest.h>

namespace hostcall::cli {
namespace {

TEST(ExitCode, EveryStatusCodeHasOne) {
  const std::pair<Code, int> expected[] = {
      {Code::kOk, 0},
      {Code::kCancelled, 125},
      {Code::kUnknown, 125},
      {Code::kInvalidArgument, 2},
      {Code::kDeadlineExceeded, 124},
      {Code::kNotFound, 1},
      {Code::kAlreadyExists, 1},
      {Code::kPermissionDenied, 126},
      {Code::kResourceExhausted, 125},
      {Code::kFailedPrecondition, 1},
      {Code::kAborted, 1},
      {Code::kOutOfRange, 1},
      {Code::kUnimplemented, 127},
      {Code::kInternal, 125},
      {Code::kUnavailable, 125},
      {Code::kDataLoss, 125},
      {Code::kUnauthenticated, 126},
      {static_cast<Code>(4242), 125},
  };
  for (const auto& [code, exit_code] : expected)
    EXPECT_EQ(static_cast<int>(exit_code_of(code)), exit_code) << code_name(code);
}

TEST(ExitCode, TheHelpNamesEachCode) {
  const std::string help = kExitCodeHelp;
  for (const auto* code :
       {"    0  ", "    1  ", "    2  ", "  123  ", "  124  ", "  125  ", "  126  ", "  127  ", "  128+N  "})
    EXPECT_NE(help.find(code), std::string::npos) << code;
}

TEST(ExitCode, ALimitThatPassesHasItsOwn) {
  EXPECT_EQ(failure_of({Code::kResourceExhausted, "connect_rate", milliseconds(12), false}).code, ExitCode::kOverLimit);
  EXPECT_EQ(failure_of({Code::kResourceExhausted, "store_keys", {}, false}).code, ExitCode::kUnreachable);
  EXPECT_EQ(failure_of({Code::kUnavailable, "stops", milliseconds(12), false}).code, ExitCode::kUnreachable);
}

TEST(ExitCode, FailureSaysCodeAndWords) {
  const auto failure = failure_of({Code::kPermissionDenied, "denied by 50-web.json:3", {}, false});
  EXPECT_EQ(failure.code, ExitCode::kDenied);
  EXPECT_EQ(failure.text, "PERMISSION_DENIED: denied by 50-web.json:3");
}

TEST(ExitCode, FailureSaysThatTheOutcomeIsUnknown) {
  EXPECT_NE(failure_of({Code::kUnavailable, "broke", {}, true}).text.find("outcome is unknown"), std::string::npos);
  EXPECT_EQ(failure_of({Code::kUnavailable, "broke", {}, false}).text.find("outcome"), std::string::npos);
}

TEST(ExitCode, FailureIsOneHarmlessLine) {
  EXPECT_EQ(failure_of({Code::kInternal, "a\nb\x1b[2J", {}, false}).text, "INTERNAL: a\\x0ab\\x1b[2J");
}

TEST(ExitCode, ValueOfThrowsTheFailure) {
  EXPECT_EQ(value_of(Reply<int>(7)), 7);
  try {
    value_of(Reply<int>(Status{Code::kNotFound, "no such VM", {}, false}));
    FAIL() << "nothing was thrown";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code, ExitCode::kNegative);
  }
}

}  // namespace
}  // namespace hostcall::cli
