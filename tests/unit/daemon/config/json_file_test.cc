// JSON files: values, and for every complaint the file, the line and the reason.
#include "daemon/config/json_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "proto/base/bounded_text.h"
#include "proto/base/escape.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/daemon/config_error.h"

namespace hostcall::daemon {
namespace {

using test::error_of;
using test::TempDir;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

JsonValue parse(std::string_view text) { return JsonValue::parse("f.json", text); }
std::string parse_error(std::string_view text) {
  return error_of([&] { parse(text); });
}

TEST(Json, GivesValuesOfEachKind) {
  const auto root = parse(R"({"s": "ü\n", "t": true, "n": 2.5, "i": 7, "neg": -3, "l": ["a", "b"], "o": {"x": 1}})");
  EXPECT_EQ(root.at("s").string(), "ü\n");
  EXPECT_TRUE(root.at("t").boolean());
  EXPECT_EQ(root.at("n").number(), 2.5);
  EXPECT_EQ(root.at("i").number(), 7);
  EXPECT_EQ(root.at("neg").number(), -3);
  EXPECT_EQ(root.at("i").integer(7, 7), 7u);
  EXPECT_THAT(root.at("l").strings(), ElementsAre("a", "b"));
  EXPECT_EQ(root.at("l").elements().at(1).string(), "b");
  EXPECT_EQ(root.at("o").at("x").integer(0, 9), 1u);
  EXPECT_TRUE(root.has("s"));
  EXPECT_FALSE(root.has("missing"));
  EXPECT_FALSE(root.at("l").has("a")) << "a list has no members";
}

TEST(Json, KeepsTheDocumentAlive) {
  const auto inner = parse(R"({"deep": ["long enough to be on the heap of a document that is gone"]})").at("deep");
  EXPECT_THAT(inner.strings(), ElementsAre(StartsWith("long enough")));
}

TEST(Json, MembersComeInTheOrderOfTheFile) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : parse(R"({"z": 1, "a": 2, "m": 3})").members()) keys.push_back(key);
  EXPECT_THAT(keys, ElementsAre("z", "a", "m"));
}

TEST(Json, KnowsTheLineOfEveryValue) {
  const auto root = parse(
      "// comment\n"
      "/* two\n"
      "   lines */ {\n"
      "  \"number\": 1\n"
      "  ,\n"
      "  \"key\":\n"
      "     \"its value\",\n"
      "  \"list\": [\n"
      "    1\n"
      "    , 2,\n"
      "    \"s\",\n"
      "    {}, [\n"
      "    ]\n"
      "  ]\n"
      "}\n");
  EXPECT_EQ(root.line(), 3u);
  EXPECT_EQ(root.at("number").line(), 4u);
  EXPECT_EQ(root.at("key").line(), 6u) << "a member stands where its key does";
  std::vector<unsigned> lines;
  for (const auto& element : root.at("list").elements()) lines.push_back(element.line());
  EXPECT_THAT(lines, ElementsAre(9, 10, 11, 12, 12));
}

TEST(Json, SyntaxErrorsNameTheirLine) {
  EXPECT_THAT(parse_error("{\n  \"a\": tru\n}"), StartsWith("f.json:2: not valid JSON: "));
  EXPECT_THAT(parse_error("{\n\"a\": 1,\n}"), StartsWith("f.json:3: not valid JSON: "));
  EXPECT_THAT(parse_error("{\"a\": \"open\n}"), StartsWith("f.json:1: not valid JSON: "));
  EXPECT_THAT(parse_error("{}\n\n{}"), StartsWith("f.json:3: not valid JSON: "));
  EXPECT_THAT(parse_error("{\n\"a\": 1\n"), StartsWith("f.json:2: not valid JSON: "));
  EXPECT_THAT(parse_error("\n1e999"), StartsWith("f.json:2: not valid JSON: number overflow"));
  EXPECT_THAT(parse_error(""), StartsWith("f.json:1: not valid JSON: "));
  EXPECT_THAT(parse_error("\n\"\xff\""), StartsWith("f.json:2: not valid JSON: "));
}

TEST(Json, SyntaxErrorsDoNotSpeakOfTheLibrary) {
  const auto text = parse_error("{\n  \"a\": tru\n}");
  EXPECT_THAT(text, ::testing::Not(HasSubstr("json.exception")));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("column")));
}

TEST(Json, SyntaxErrorsArePlainText) {
  for (const auto* text : {"\"\xff\"", "[1, \xc8", "\x1b[0m", "{\"a\": \"\u202e\x01\"}", "\u0085"})
    EXPECT_TRUE(is_plain(parse_error(text))) << parse_error(text);
}

TEST(Json, RefusesWhatTheLibraryWouldPassOver) {
  EXPECT_EQ(parse_error("{\n\"a\": 1,\n\"a\": 2}"), "f.json:3: the key \"a\" appears twice in one object");
  EXPECT_EQ(parse_error(std::string_view("{}\n\0garbage", 11)), "f.json:2: not valid JSON: a NUL byte");
  EXPECT_EQ(parse_error(R"({"a": {"x": 1}, "b": {"x": 2}})"), "no error") << "the same key in two objects";
}

TEST(Json, BoundsTheDepth) {
  EXPECT_EQ(parse_error(std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')), "no error");
  EXPECT_EQ(parse_error(std::string(kMaxJsonDepth + 1, '[')),
            "f.json:1: objects and lists are nested more than 32 deep");
}

TEST(Json, UnknownKeysAreNamedWithTheKnownOnes) {
  const auto root = parse("{\n\"allow\": 1,\n\"alow\": 2}");
  EXPECT_EQ(error_of([&] {
              root.allow_keys({"allow", "deny"});
            }),
            "f.json:3: unknown key \"alow\" (did you mean \"allow\"?); known are allow, deny");
  EXPECT_NO_THROW(root.allow_keys({"alow", "allow"}));
}

TEST(Json, MissingKeysAreNamed) {
  EXPECT_EQ(error_of([] { parse("\n{}").at("vms"); }), "f.json:2: the key \"vms\" is missing");
}

TEST(Json, WrongTypesSayWhatIsExpectedAndWhatIsThere) {
  const auto root = parse("{\"s\":\n\"x\", \"n\": 1, \"o\": {}, \"z\": null, \"l\": [1]}");
  EXPECT_EQ(error_of([&] { root.at("s").boolean(); }), "f.json:1: s: expected true or false, but this is a string");
  EXPECT_EQ(error_of([&] { root.at("n").string(); }), "f.json:2: n: expected a string, but this is a number");
  EXPECT_EQ(error_of([&] { root.at("o").elements(); }), "f.json:2: o: expected a list, but this is an object");
  EXPECT_EQ(error_of([&] { root.at("z").number(); }), "f.json:2: z: expected a number, but this is null");
  EXPECT_EQ(error_of([&] { root.at("l").strings(); }), "f.json:2: l: expected a string, but this is a number");
  EXPECT_EQ(error_of([&] { root.at("l").at("x"); }), "f.json:2: l: expected an object, but this is a list");
  EXPECT_EQ(error_of([&] { root.at("l").members(); }), "f.json:2: l: expected an object, but this is a list");
}

TEST(Json, IntegersHaveBounds) {
  const auto integer = [](std::string_view text) { return error_of([&] { parse(text).integer(2, 9); }); };
  EXPECT_EQ(integer("2"), "no error");
  EXPECT_EQ(integer("9"), "no error");
  EXPECT_EQ(integer("1"), "f.json:1: expected a whole number from 2 to 9, but this is 1");
  EXPECT_EQ(integer("10"), "f.json:1: expected a whole number from 2 to 9, but this is 10");
  EXPECT_EQ(integer("-3"), "f.json:1: expected a whole number from 2 to 9, but this is a negative number");
  for (const std::string text : {"2.5", "99999999999999999999999"})
    EXPECT_EQ(integer(text),
              "f.json:1: expected a whole number from 2 to 9, written without fraction and exponent, "
              "but this is " +
                  text);
  EXPECT_THAT(integer("\"2\""), HasSubstr("but this is a string"));
  EXPECT_EQ(parse("18446744073709551615").integer(0, UINT64_MAX), UINT64_MAX);
}

TEST(JsonFile, ReadsRegularFilesOnly) {
  const TempDir dir;
  const auto read_error = [](const std::string& path) { return error_of([&] { JsonValue::read(path); }); };
  EXPECT_EQ(JsonValue::read(dir.write("good.json", "\n{}")).line(), 2u);
  EXPECT_EQ(read_error(dir / "none"), dir / "none" + ": cannot be opened: No such file or directory");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_error(dir / "fifo"), dir / "fifo" + ": is not a regular file");
  std::filesystem::create_directory(dir / "directory");
  EXPECT_EQ(read_error(dir / "directory"), dir / "directory" + ": is not a regular file");
}

TEST(JsonFile, BoundsTheSize) {
  const TempDir dir;
  const auto path = dir.write("large.json", "{}");
  std::filesystem::resize_file(path, kMaxFileBytes + 1);
  EXPECT_EQ(error_of([&] { JsonValue::read(path); }), path + ": has 16777217 bytes; at most 16777216 are read");
}

TEST(JsonFiles, ComeInByteOrderWithoutHiddenAndOtherOnes) {
  const TempDir dir;
  for (const auto* name : {"b.json", "10-x.json", "9-x.json", "B.json", ".swp.json", "README", "x.json~", "z.json.new"})
    dir.write(name, "{}");
  EXPECT_THAT(json_files(dir.path()), ElementsAre(dir.path() + "/10-x.json", dir.path() + "/9-x.json",
                                                  dir.path() + "/B.json", dir.path() + "/b.json"));
}

TEST(JsonFiles, NoneInAMissingDirectoryButAnErrorForAFile) {
  const TempDir dir;
  EXPECT_THAT(json_files(dir / "missing"), ElementsAre());
  const auto path = dir.write("file", "");
  EXPECT_EQ(error_of([&] { json_files(path); }), path + ": cannot be opened: Not a directory");
}

TEST(JsonFile, AComplaintThatQuotesTheFileIsBounded) {
  const auto text = error_of([] { JsonValue::parse("f.json", "{\"rules\": \"" + std::string(4'500'000, 'x')); });
  EXPECT_LE(text.size(), kMaxToldText + 100);
  EXPECT_THAT(text, AllOf(StartsWith("f.json:1: not valid JSON"), HasSubstr("missing closing quote"), EndsWith("…")));
}

}  // namespace
}  // namespace hostcall::daemon
