// Text of others in logs, errors and on terminals: what can be seen passes, everything else becomes visible, and the
// value can be told from it.
#include "proto/base/escape.h"

#include <gtest/gtest.h>

namespace hostcall {
namespace {

// What whoever copies a value does to get it back.
std::string unescape(std::string_view shown) {
  std::string value;
  while (!shown.empty()) {
    if (shown.starts_with("\\x")) {
      value += static_cast<char>(std::stoi(std::string(shown.substr(2, 2)), nullptr, 16));
      shown.remove_prefix(4);
    } else {
      if (shown.starts_with("\\\\")) shown.remove_prefix(1);
      value += shown.front();
      shown.remove_prefix(1);
    }
  }
  return value;
}

TEST(Escape, LeavesPrintableUtf8) {
  for (const std::string text : {"web1 \"ü\" 漢 \U0001F600 ~", "\u00A0\u061B\u061D\u200A\u2010\u2027\u202F\u205F\u2070",
                                 "\uFEFE\uFF00\U000DFFFF\u3163\u2801"})
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

TEST(Escape, ShowsWhatCanNotBeSeen) {
  for (const std::string hidden : {
           "\u0080",     "\u009F",                                            // C1
           "\u00AD",     "\u034F",     "\u115F",     "\u3164",     "\uFFA0",  // soft hyphen, joiner, fillers
           "\u180B",     "\uFE00",     "\uFE0F",     "\U000E01EF",            // variation selectors
           "\u206A",     "\uFFF9",     "\U000110BD", "\U0001D173",            // format characters
           "\u2800",     "\uE000",     "\uFFFE",     "\U0010FFFF",            // no ink, private, noncharacters
           "\u061C",                                                          // Arabic letter mark
           "\u200B",     "\u200C",     "\u200D",     "\u200E",     "\u200F",  // zero-width, marks
           "\u2028",     "\u2029",                                            // separators
           "\u202A",     "\u202B",     "\u202C",     "\u202D",     "\u202E",  // embeddings, overrides
           "\u2060",     "\u2064",                                            // word joiner, invisible plus
           "\u2066",     "\u2067",     "\u2068",     "\u2069",                // isolates
           "\uFEFF",                                                          // zero-width no-break space
           "\U000E0000", "\U000E0001", "\U000E0041", "\U000E007F"             // tags
       }) {
    const auto shown = escape(hidden);
    EXPECT_EQ(shown.size(), 4 * hidden.size()) << shown;
    EXPECT_EQ(unescape(shown), hidden);
    EXPECT_FALSE(is_plain("a" + hidden)) << shown;
  }
  EXPECT_EQ(escape("\u202Ex"), "\\xe2\\x80\\xaex");
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

TEST(Escape, CanBeTurnedBack) {
  EXPECT_EQ(escape("\\x0a"), "\\\\x0a") << "no line break";
  EXPECT_EQ(escape("C:\\new\\"), "C:\\\\new\\\\");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const auto& text : {all, std::string("\\\\x\\x4\\xzz\n"), std::string("é\u200D\\\xE2\x80")})
    EXPECT_EQ(unescape(escape(text, kWholeText)), text);
}

TEST(Escape, CutsBetweenCharacters) {
  EXPECT_EQ(escape("abcdef", 6), "abcdef");
  EXPECT_EQ(escape("abcdefg", 6), "abcdef...");
  EXPECT_EQ(escape("abcdeü", 6), "abcde...");
  EXPECT_EQ(escape("abc\n", 6), "abc...");
  EXPECT_EQ(escape("abcde\\", 6), "abcde...");
  EXPECT_EQ(escape("x", 0), "...");
}

TEST(InQuotes, CannotBeEndedFromInside) {
  EXPECT_EQ(in_quotes("x\" is allowed\n"), "\"x\\x22 is allowed\\x0a\"");
  EXPECT_EQ(in_quotes("x\\"), "\"x\\\\\"");
}

TEST(EscapeMessage, LeavesTheValuesInIt) {
  const auto message = "no key " + in_quotes("C:\\\n\u202E") + " is known";
  EXPECT_EQ(escape_message(message), message);
  EXPECT_EQ(escape_message("a\nb\u2028\xff"), "a\\x0ab\\xe2\\x80\\xa8\\xff");
  EXPECT_EQ(escape_message("abcdefg", 6), "abcdef...");
}

TEST(EscapeLines, LeavesLineFeedsAndTabs) {
  EXPECT_EQ(escape_lines("a\tb\nc\r\n\x1b[31m\u202E\\"), "a\tb\nc\\x0d\n\\x1b[31m\\xe2\\x80\\xae\\\\");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(unescape(escape_lines(all)), all);
}

TEST(EscapeJson, MeansTheSame) {
  EXPECT_EQ(escape_json("{\n\t\"ü\\u202e\": 1}"), "{\n\t\"ü\\u202e\": 1}");
  EXPECT_EQ(escape_json("\u202E\u007F\u009B\uFEFF"), "\\u202e\\u007f\\u009b\\ufeff");
  EXPECT_EQ(escape_json("\U000E0041"), "\\udb40\\udc41");
  EXPECT_EQ(escape_json("\U0001F600\u2066"), "\U0001F600\\u2066");
}

TEST(IsPlain, IsWhatEscapingAMessageDoesNotChange) {
  for (const std::string text : {"", "/run/web1.sock", "C:\\x", "漢"}) EXPECT_TRUE(is_plain(text)) << text;
  for (const std::string text : {"\n", "a\xff", "\u200B", "漢\xe6"}) EXPECT_FALSE(is_plain(text)) << escape(text);
}

}  // namespace
}  // namespace hostcall
