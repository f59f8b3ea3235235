// Text for terminals: foreign bytes, tables, wrapped paragraphs.
#include "client/cli/text.h"

#include <gtest/gtest.h>

namespace hostcall::cli {
namespace {

TEST(Text, HarmlessTextStaysAsItIs) {
  EXPECT_EQ(printable("web-1 äöü 日本 🙂 \"quoted\" \\"), "web-1 äöü 日本 🙂 \"quoted\" \\");
}

TEST(Text, ControlCharactersAreEscaped) {
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\x1b]0;evil\x07"), "\\x1b]0;evil\\x07");
  EXPECT_EQ(printable("a\r\n\t\x7f"), "a\\x0d\\x0a\\x09\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\xc2\\x9b"
            "31m");  // C1 CSI
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "x"),
            "\\xe2\\x80\\xaex");                            // right-to-left override
  EXPECT_EQ(printable("\xe2\x81\xa6"), "\\xe2\\x81\\xa6");  // left-to-right isolate
}

TEST(Text, InvalidUtf8IsEscaped) {
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xc3"), "\\xc3");  // cut short
  EXPECT_EQ(printable("\xc3x"), "\\xc3x");
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(printable("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");           // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
}

TEST(Text, SizesHaveBinaryUnits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1 KiB");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(256ULL << 20), "256 MiB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "16 EiB");
}

TEST(Text, TablesAlignByCharacters) {
  Table table({"NAME", ">CALLS"});
  table.add({"web1", "7"});
  table.add({"übung", "12345"});
  EXPECT_EQ(table.to_string(),
            "NAME   CALLS\n"
            "web1       7\n"
            "übung  12345\n");
}

TEST(Text, FieldsShowWhatIsEmpty) {
  Table table;
  table.field("VM", "web1");
  table.field("boot id", "");
  EXPECT_EQ(table.to_string(),
            "VM       web1\n"
            "boot id  -\n");
}

TEST(Text, CellsCanNotBreakATable) {
  Table table;
  table.field("client", "evil\nVM  db1");
  EXPECT_EQ(table.to_string(), "client  evil\\x0aVM  db1\n");
}

TEST(Text, WrapsAtBlanks) {
  EXPECT_EQ(wrap("one two three four", 10, 2), "one two\n  three\n  four");
  EXPECT_EQ(wrap("averyveryverylongword x", 8, 0), "averyveryverylongword\nx");
  EXPECT_EQ(wrap("", 8, 0), "");
}

TEST(Text, WrapsParagraphs) {
  EXPECT_EQ(wrap_paragraphs("one\ntwo three\n\nfour\n", 9), "one two\nthree\n\nfour\n");
  EXPECT_EQ(wrap_paragraphs("", 9), "");
}

TEST(Text, Joins) {
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(join({"a"}, ", "), "a");
  EXPECT_EQ(join({"a", "b"}, ", "), "a, b");
}

}  // namespace
}  // namespace hostcall::cli
