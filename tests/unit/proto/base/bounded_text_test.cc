#include "proto/base/bounded_text.h"

#include <gtest/gtest.h>

namespace hostcall {
namespace {

TEST(BoundedText, WhatFitsStaysAsItIs) {
  EXPECT_EQ(bounded_text("", 3), "");
  EXPECT_EQ(bounded_text("abc", 3), "abc");
  EXPECT_EQ(bounded_text(std::string(kMaxToldText, 'x')), std::string(kMaxToldText, 'x'));
}

TEST(BoundedText, WhatDoesNotIsCutAndSaysSo) {
  EXPECT_EQ(bounded_text("abcd", 3), "…");
  EXPECT_EQ(bounded_text("abcdef", 5), "ab…");
  EXPECT_EQ(bounded_text(std::string(kMaxToldText + 1, 'x')), std::string(kMaxToldText - 3, 'x') + "…");
}

TEST(BoundedText, IsCutBetweenCharacters) {
  for (const std::string character : {"é", "€", "😀"}) {
    std::string text;
    while (text.size() < 40) text += character;
    for (std::size_t max = 3; max < text.size(); ++max) {
      const auto cut = bounded_text(text, max);
      ASSERT_LE(cut.size(), max);
      ASSERT_EQ((cut.size() - 3) % character.size(), 0u) << cut;
      ASSERT_TRUE(cut.ends_with("…"));
    }
  }
}

TEST(BoundedText, BytesThatAreNoTextAreCutToo) {
  EXPECT_EQ(bounded_text(std::string(10, '\x80'), 8), "\x80\x80\x80\x80\x80…");
}

}  // namespace
}  // namespace hostcall
