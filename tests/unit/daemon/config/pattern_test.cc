// Patterns of arguments: anchored, of bytes, and bounded.
#include "daemon/config/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hostcall::daemon {
namespace {

using testing::HasSubstr;

bool matches(const std::string& expression, const std::string& text) {
  const auto pattern = Pattern::compile(expression);
  EXPECT_TRUE(pattern.ok()) << expression;
  return pattern.ok() && pattern->matches(text);
}

std::string error_of(const std::string& expression) {
  const auto pattern = Pattern::compile(expression);
  return pattern.ok() ? "" : pattern.error().message();
}

TEST(Pattern, MustMatchTheWholeText) {
  EXPECT_TRUE(matches("[a-z]+", "abc"));
  EXPECT_FALSE(matches("[a-z]+", "abc1"));
  EXPECT_FALSE(matches("[a-z]+", "1abc"));
  EXPECT_FALSE(matches("[a-z]+", ""));
  EXPECT_TRUE(matches("", ""));
  EXPECT_FALSE(matches("", "a"));
  EXPECT_TRUE(matches("^abc$", "abc")) << "anchors of its own change nothing";
}

TEST(Pattern, AlternativesAreAnchoredToo) {
  EXPECT_TRUE(matches("start|stop", "start"));
  EXPECT_TRUE(matches("start|stop", "stop"));
  EXPECT_FALSE(matches("start|stop", "start; rm"));
  EXPECT_FALSE(matches("start|stop", "nonstop"));
}

TEST(Pattern, ALineBreakIsAByteLikeAnyOther) {
  EXPECT_FALSE(matches("[a-z]+", "abc\n"));
  EXPECT_FALSE(matches("[a-z]+", "abc\ndef"));
  EXPECT_TRUE(matches("[^/]+", "a\nb"));
}

TEST(Pattern, ComparesBytes) {
  EXPECT_FALSE(matches("[a-z]+", "\xff"));
  EXPECT_FALSE(matches(".", "\xc3\xa4")) << "two bytes";
  EXPECT_TRUE(matches("\xc3\xa4", "\xc3\xa4"));
}

TEST(Pattern, NeverMatchesWhatIsTooLongOrHasANul) {
  EXPECT_TRUE(matches("a*", std::string(kMaxMatchedBytes, 'a')));
  EXPECT_FALSE(matches("a*", std::string(kMaxMatchedBytes + 1, 'a')));
  EXPECT_FALSE(matches(".*", std::string("a\0b", 3)));
}

TEST(Pattern, RefusesWhatIsNone) {
  EXPECT_THAT(error_of("["), HasSubstr("not an extended regular expression: "));
  EXPECT_THAT(error_of("a)(b"), HasSubstr("not an extended regular expression: "));
  EXPECT_THAT(error_of(std::string("a\0b", 3)), HasSubstr("no NUL"));
  EXPECT_THAT(error_of(std::string(1025, 'a')), HasSubstr("at most 1024 bytes"));
  EXPECT_EQ(error_of(std::string(1024, 'a')), "");
}

// Their time grows exponentially with the text.
TEST(Pattern, RefusesReferencesBackToGroups) {
  EXPECT_THAT(error_of("(a*)*\\1"), HasSubstr("may not refer back"));
  EXPECT_THAT(error_of("\\\\\\1"), HasSubstr("may not refer back"));
  EXPECT_EQ(error_of("\\\\1"), "") << "a backslash, then a digit";
  EXPECT_EQ(error_of("a\\.1"), "");
}

// Allowed without a word, they would match something else.
TEST(Pattern, RefusesWhatOtherLanguagesUnderstandDifferently) {
  EXPECT_THAT(error_of("\\d+"),
              HasSubstr("no more than the character \"d\" in an extended regular expression; write [0-9]"));
  EXPECT_THAT(error_of("a\\.\\x41"), HasSubstr("the character \"x\""));
  EXPECT_THAT(error_of("\\0"), HasSubstr("the character \"0\""));
  for (const auto* bracket : {"[\\d]", "[^\\w-]+", "[]\\s]", "a[[:alpha:]\\d]"})
    EXPECT_THAT(error_of(bracket), HasSubstr("within [...] a backslash is itself")) << bracket;
  for (const auto* repeated : {".+?", "a*?", "a++", "a?*"})
    EXPECT_THAT(error_of(repeated), HasSubstr("repeats once")) << repeated;
  EXPECT_THAT(error_of("(?:a)"), HasSubstr("not an extended regular expression"));
}

TEST(Pattern, TakesWhatMeansTheSameEverywhere) {
  for (const auto* expression : {"\\w+", "\\s\\S\\W\\b\\B", "\\.\\-\\/", "[+*?]", "\\+?", "\\\\d", "[a\\]", "[]a]",
                                 "[[.-.]*+]", "[[:digit:]]+", "(a+)?", "a{2}", "[^]\\]"})
    EXPECT_EQ(error_of(expression), "") << expression;
  EXPECT_TRUE(matches("\\w", "x"));
}

TEST(Pattern, ManyWaysToMatchTakeNoTime) {
  EXPECT_FALSE(matches("(a|aa)*(a|aa)*(a|aa)*", std::string(4000, 'a') + "b"));
}

}  // namespace
}  // namespace hostcall::daemon
