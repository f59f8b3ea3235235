// Globs: the grammar by examples, against a simple recursive matcher, and that no pattern takes exponential time.
#include "daemon/config/glob.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/refusal.h"
#include "tests/support/seed.h"

namespace hostcall::daemon {
namespace {

struct Example {
  const char* glob;
  const char* text;
  bool matches;
};

TEST(Glob, MatchesBelowAStart) {
  for (const auto* glob : {"/self/", "/self/a", "/self/*", "/*/a", "**", "**x", "/[s]elf/**", "/self/[!a]"})
    EXPECT_TRUE(glob_matches_below(glob, "/self/")) << glob;
  for (const auto* glob : {"", "/self", "*", "/*", "/s*", "/self?", "/shared/a", "self/**", "/[!s]elf/**", "[a"})
    EXPECT_FALSE(glob_matches_below(glob, "/self/")) << glob;
  EXPECT_TRUE(glob_matches_below("", ""));
}

TEST(Glob, Examples) {
  constexpr Example kExamples[] = {
      {"/self/a", "/self/a", true},
      {"/self/a", "/self/ab", false},
      {"/self/a", "/self/", false},
      {"/self/*", "/self/a", true},
      {"/self/*", "/self/", true},
      {"/self/*", "/self/a/b", false},
      {"/self/**", "/self/a/b", true},
      {"/self/**", "/selfish", false},
      {"**", "", true},
      {"**", "/any/thing", true},
      {"*", "", true},
      {"*", "a/b", false},
      {"/*/x", "/a/x", true},
      {"/*/x", "/a/b/x", false},
      {"/**/x", "/a/b/x", true},
      {"*a*b*", "xaxbx", true},
      {"*a*b*", "xbxax", false},
      {"a?c", "abc", true},
      {"a?c", "ac", false},
      {"a?c", "a/c", false},
      {"?", "", false},
      {"[a-c]x", "bx", true},
      {"[a-c]x", "dx", false},
      {"[!a-c]x", "dx", true},
      {"[!a-c]x", "bx", false},
      {"[!a]", "/", false},
      {"[.-9]", "/", false},
      {"[abc-]", "-", true},
      {"[]]", "]", true},
      {"[!]]", "]", false},
      {"\\*", "*", true},
      {"\\*", "x", false},
      {"a\\\\b", "a\\b", true},
      {"[a", "a", false},
      {"a\\", "a", false},
      {"a\\", "a\\", false},
      {"[c-a]", "b", false},
  };
  for (const auto& [glob, text, matches] : kExamples)
    EXPECT_EQ(glob_matches(glob, text), matches) << glob << " on " << text;
}

TEST(Glob, MalformedOnesAreTold) {
  for (const auto* glob : {"/self/*", "**", "[a-z]", "[]]", "\\[", "[!x]"}) EXPECT_TRUE(check_glob(glob).ok()) << glob;
  for (const auto* glob : {"", "[", "[a", "[]", "[!]", "x\\", "[z-a]"}) EXPECT_FALSE(check_glob(glob).ok()) << glob;
  EXPECT_TRUE(check_glob(std::string(1024, 'x')).ok());
  EXPECT_EQ(test::refusal_of(check_glob(std::string(1025, 'x'))), "it has 1025 bytes, but at most 1024 are allowed");
}

// The definition, written down in the shortest way. Takes * ** ? and bytes.
bool matches_by_definition(std::string_view glob, std::string_view text) {
  if (glob.empty()) return text.empty();
  const bool deep = glob.starts_with("**");
  if (glob[0] == '*') {
    const auto rest = glob.substr(deep ? 2 : 1);
    for (std::size_t taken = 0;; ++taken) {
      if (matches_by_definition(rest, text.substr(taken))) return true;
      if (taken == text.size() || (text[taken] == '/' && !deep)) return false;
    }
  }
  if (text.empty() || (glob[0] == '?' ? text[0] == '/' : text[0] != glob[0])) return false;
  return matches_by_definition(glob.substr(1), text.substr(1));
}

std::string random_text(std::mt19937& random, std::string_view alphabet, std::size_t max) {
  std::string text(random() % (max + 1), ' ');
  for (auto& c : text) c = alphabet[random() % alphabet.size()];
  return text;
}

TEST(Glob, AgreesWithItsDefinition) {
  std::mt19937 random(test::seed(18499));
  int matched = 0;
  for (int i = 0; i < 50000; ++i) {
    const auto glob = random_text(random, "ab/**?", 8);
    const auto text = random_text(random, "ab/", 8);
    const bool expected = matches_by_definition(glob, text);
    ASSERT_EQ(glob_matches(glob, text), expected) << glob << " on " << text;
    matched += expected;
  }
  EXPECT_GT(matched, 1000) << "the examples must not all be misses";
}

TEST(Glob, NoPatternTakesExponentialTime) {
  std::string glob;
  while (glob.size() < 1000) glob += "**a*a";
  EXPECT_FALSE(glob_matches(glob + "b", std::string(4096, 'a')));
  EXPECT_TRUE(glob_matches(glob, std::string(4096, 'a')));
}

}  // namespace
}  // namespace hostcall::daemon
