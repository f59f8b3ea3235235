// Guest text in logs and errors: printable UTF-8 passes, everything else becomes visible.
#include "proto/base/escape.h"

#include <gtest/gtest.h>

namespace hostcall {
namespace {

TEST(Escape, LeavesPrintableUtf8) {
  const std::string text = "web1 \"ü\" 漢 \U0001F600 ~\\";
  EXPECT_EQ(escape(text), text);
}

TEST(Escape, ShowsControlCharacters) {
  EXPECT_EQ(escape("a\nb\x1b[31m\x7f"), "a\\x0ab\\x1b[31m\\x7f");
  EXPECT_EQ(escape(std::string_view("\0x", 2)), "\\x00x");
  EXPECT_EQ(escape("\xc2\x9b"
                   "31m"),
            "\\xc2\\x9b31m")
      << "U+009B begins a terminal's control sequence";
}

TEST(Escape, ShowsWhatIsNoUtf8) {
  EXPECT_EQ(escape("\xff"), "\\xff");
  EXPECT_EQ(escape("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(escape("\xe0\x80\xaf"), "\\xe0\\x80\\xaf") << "overlong";
  EXPECT_EQ(escape("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "surrogate";
  EXPECT_EQ(escape("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "above U+10FFFF";
  EXPECT_EQ(escape("\xe2\x82"), "\\xe2\\x82") << "cut off";
  EXPECT_EQ(escape("\xe2\x82"
                   "a"),
            "\\xe2\\x82"
            "a")
      << "a follower is missing";
}

TEST(Escape, CutsBetweenCharacters) {
  EXPECT_EQ(escape("abcdef", 6), "abcdef");
  EXPECT_EQ(escape("abcdefg", 6), "abcdef...");
  EXPECT_EQ(escape("abcdeü", 6), "abcde...");
  EXPECT_EQ(escape("abc\n", 6), "abc...");
}

TEST(InQuotes, CannotBeEndedFromInside) { EXPECT_EQ(in_quotes("x\" is allowed\n"), "\"x\\x22 is allowed\\x0a\""); }

}  // namespace
}  // namespace hostcall
