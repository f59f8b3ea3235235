// The decoder at every edge of RFC 3629's grammar.
#include "proto/base/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace hostcall::utf8 {
namespace {

using namespace std::string_view_literals;

// Written by RFC 3629's table (section 3), not by its grammar.
std::string encode(char32_t value) {
  const auto follower = [&](int shift) { return static_cast<char>(0x80 | (value >> shift & 0x3F)); };
  if (value < 0x80) return {static_cast<char>(value)};
  if (value < 0x800) return {static_cast<char>(0xC0 | value >> 6), follower(0)};
  if (value < 0x10000) return {static_cast<char>(0xE0 | value >> 12), follower(6), follower(0)};
  return {static_cast<char>(0xF0 | value >> 18), follower(12), follower(6), follower(0)};
}

bool is_surrogate(char32_t value) { return value >= 0xD800 && value <= 0xDFFF; }

TEST(Utf8, DecodesEveryCodePointAndNoSurrogate) {
  for (char32_t value = 0; value <= 0x10FFFF; ++value) {
    const auto bytes = encode(value);
    const auto point = decode(bytes + "\xBFx");
    ASSERT_EQ(point.has_value(), !is_surrogate(value)) << static_cast<std::uint32_t>(value);
    if (!point) continue;
    ASSERT_EQ(point->value, value);
    ASSERT_EQ(point->bytes, bytes.size());
  }
}

TEST(Utf8, RefusesWhatIsNone) {
  for (const auto text : {""sv,
                          "\x80"sv,
                          "\xBF"sv,
                          "\xFE"sv,
                          "\xFF"sv,
                          "\xC0\x80"sv,
                          "\xC0\xAF"sv,
                          "\xC1\xBF"sv,  // overlong in two
                          "\xE0\x80\x80"sv,
                          "\xE0\x80\xAF"sv,
                          "\xE0\x9F\xBF"sv,  // in three
                          "\xF0\x80\x80\xAF"sv,
                          "\xF0\x8F\xBF\xBF"sv,  // in four
                          "\xED\xA0\x80"sv,
                          "\xED\xAF\xBF"sv,
                          "\xED\xBF\xBF"sv,  // surrogates
                          "\xF4\x90\x80\x80"sv,
                          "\xF5\x80\x80\x80"sv,
                          "\xF7\xBF\xBF\xBF"sv,  // above U+10FFFF
                          "\xF8\x88\x80\x80\x80"sv,
                          "\xFC\x84\x80\x80\x80\x80"sv})  // of five and six bytes
    EXPECT_FALSE(decode(text)) << text.size();
}

TEST(Utf8, RefusesWhatEndsEarly) {
  for (const std::string character : {"é", "€", "😀"})
    for (std::size_t bytes = 1; bytes < character.size(); ++bytes) {
      const auto cut = character.substr(0, bytes);
      EXPECT_FALSE(decode(cut));
      EXPECT_FALSE(decode(cut + "a"));
      EXPECT_FALSE(decode(cut + "\xC3")) << "the lead of another";
    }
}

TEST(Utf8, CountsCodePointsAndStrayBytes) {
  EXPECT_EQ(count(""), 0u);
  EXPECT_EQ(count("aé€😀"), 4u);
  EXPECT_EQ(count("\xFF\x80"), 2u);
  EXPECT_EQ(count("\xE2\x82"), 2u) << "two bytes of a character of three";
  EXPECT_EQ(count("\xED\xA0\x80"), 3u);
}

TEST(Utf8, ReplacesBytesThatBelongToNoCodePoint) {
  EXPECT_EQ(replace_invalid(""), "");
  EXPECT_EQ(replace_invalid("aé€😀"), "aé€😀");
  EXPECT_EQ(replace_invalid("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(replace_invalid("\xE2\x82"), "\uFFFD\uFFFD");
  EXPECT_EQ(replace_invalid("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD") << "a surrogate";
}

TEST(Utf8, APrefixIsWhole) {
  const auto text = "aé€😀"sv;  // begin at 0, 1, 3 and 6, end at 10
  constexpr std::size_t kWhole[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
  for (std::size_t max = 0; max < std::size(kWhole); ++max) EXPECT_EQ(whole_prefix(text, max), kWhole[max]) << max;
  EXPECT_EQ(whole_prefix("\x80\x80\x80\x80\x80", 4), 4u) << "bytes that belong to no character";
  EXPECT_EQ(whole_prefix("\xF0\x9F\x98!", 3), 3u) << "a character that does not end";
  EXPECT_EQ(whole_prefix("a\xE2\x82", 2), 2u);
}

}  // namespace
}  // namespace hostcall::utf8
