// Text for terminals: foreign bytes, tables, wrapped paragraphs.
#include "client/cli/text.h"

#include <gtest/gtest.h>

namespace hostcall::cli {
namespace {

TEST(Text, ValuesAreShownWholeAndEscaped) {
  EXPECT_EQ(printable("web-1 日本 C:\\\x1b[2J"), "web-1 日本 C:\\\\\\x1b[2J");
  const std::string key(4096, 'k');
  EXPECT_EQ(printable(key), key);
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

TEST(Text, CellsAreNotEscapedTwice) {
  Table table({"KEY"});
  table.add({printable("/self/C:\\\x1b")});
  EXPECT_EQ(table.to_string(),
            "KEY\n"
            "/self/C:\\\\\\x1b\n");
}

TEST(Text, WhatIsNoUtf8TakesAColumnForEachByteShown) {
  Table table;
  table.add({"\xff", "x"});
  table.add({"äöü", "y"});
  EXPECT_EQ(table.to_string(),
            "\\xff  x\n"
            "äöü   y\n");
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
