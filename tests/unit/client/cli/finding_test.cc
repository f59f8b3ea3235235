// What doctors print.
#include "client/cli/finding.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace hostcall::cli {
namespace {

TEST(Finding, OnlyAFailureMakesTheExitCodeNegative) {
  EXPECT_EQ(exit_code_of(Findings{}), ExitCode::kDone);
  EXPECT_EQ(exit_code_of(Findings{ok("a", "b"), warn("c", "d", "e")}), ExitCode::kDone);
  EXPECT_EQ(exit_code_of(Findings{ok("a", "b"), fail("c", "d", "e")}), ExitCode::kNegative);
}

TEST(Finding, TextHasStateCheckAndAdvice) {
  const Findings findings{ok("kernel", "fine"), fail("daemon", "gone", "start it")};
  EXPECT_EQ(to_text(findings, false),
            "ok    kernel: fine\n"
            "fail  daemon: gone\n"
            "      -> start it\n");
  EXPECT_EQ(to_text(findings, true),
            "fail  daemon: gone\n"
            "      -> start it\n");
}

TEST(Finding, LinesFitATerminal) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "word" + std::to_string(i) + " ";
  const auto printed = to_text(Findings{warn("check", text, text)}, false);
  std::istringstream lines(printed);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 80U) << line;
  EXPECT_GT(count, 4);
}

TEST(Finding, ForeignTextIsHarmless) {
  EXPECT_EQ(to_text(Findings{ok("a", "x\x1b[2J")}, false), "ok    a: x\\x1b[2J\n");
}

TEST(Finding, JsonHasStableKeys) {
  const auto json =
      nlohmann::json::parse(to_json({warn("kernel", "old \xff", "update"), fail("daemon", "gone", "start")}));
  EXPECT_EQ(json["healthy"], false);
  EXPECT_EQ(json["findings"].size(), 2U);
  EXPECT_EQ(json["findings"][1],
            nlohmann::json({{"check", "daemon"}, {"state", "fail"}, {"text", "gone"}, {"advice", "start"}}));
}

}  // namespace
}  // namespace hostcall::cli
