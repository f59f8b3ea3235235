// Services as .proto files: protoc's own parser takes them, and finds in them what was described.
#include "client/cli/proto_text.h"

#include <gmock/gmock.h>

#include "client/cli/schema.h"
#include "proto/base/escape.h"
#include "tests/unit/client/cli/proto_files.h"

namespace hostcall::cli {
namespace {

namespace pb = google::protobuf;

using test::ProtoFiles;
using testing::HasSubstr;
using testing::Not;

std::string text_of(const Schema& schema, const std::string& name) {
  const auto* service = schema.find_service(name.substr(0, name.find('/')));
  if (service == nullptr) return "no such service";
  return proto_text(*service, schema.find_method(name));
}

std::string text_of(const ProtoFiles& files, const std::string& name) {
  return text_of(*Schema::parse(test::descriptor_set_of(files)), name);
}

// The files of a text, those that others import first.
ProtoFiles files_of(const std::string& text) {
  constexpr std::string_view kBegin = "\nsyntax = ";
  ProtoFiles files;
  for (std::size_t next = text.find(kBegin); next != std::string::npos;) {
    const auto begin = text.rfind("// ", next);
    const auto name = text.substr(begin + 3, next - begin - 3);
    next = text.find(kBegin, next + 1);
    const auto end = next == std::string::npos ? text.size() : text.rfind("// ", next);
    files.insert(files.begin(), {name, text.substr(begin, end - begin)});
  }
  return files;
}

std::vector<std::string> names_of(const ProtoFiles& files) {
  std::vector<std::string> names;
  for (const auto& [name, text] : files) names.insert(names.begin(), name);
  return names;
}

// Whether a message or enum of the text is what it was.
template <class Descriptor>
void expect_same(const Descriptor* was, const Descriptor* is, const std::string& name) {
  ASSERT_NE(was, nullptr) << name;
  ASSERT_NE(is, nullptr) << name << " is not in the text";
  EXPECT_EQ(is->DebugString(), was->DebugString());
}

// That the text describes these messages and enums as the files do, and nothing that is not there.
void expect_round_trip(const ProtoFiles& files, const std::string& service, const std::vector<std::string>& messages,
                       const std::vector<std::string>& enums = {}) {
  const auto text = text_of(files, service);
  SCOPED_TRACE(text);
  pb::DescriptorPool was, is;
  test::build(files, was);
  test::build(files_of(text), is);
  expect_same(was.FindServiceByName(service), is.FindServiceByName(service), service);
  for (const auto& name : messages) expect_same(was.FindMessageTypeByName(name), is.FindMessageTypeByName(name), name);
  for (const auto& name : enums) expect_same(was.FindEnumTypeByName(name), is.FindEnumTypeByName(name), name);
}

const ProtoFiles kInventory = {{"acme/v1/inventory.proto", R"(// The licence.

syntax = "proto3";
package acme.v1;

// Keeps the stock.
// In all houses.
service Inventory {
  // Lists a house.
  rpc List(ListRequest) returns (stream Item);
  rpc Count(House) returns (Tally) { option deprecated = true; }
}
message Tally { uint64 items = 1; }
message Unused { string text = 1; }
// Asks for items.
message ListRequest {
  // Which house.
  House house = 1;
  string name_prefix = 2;
}
message House { string name = 1; }
message Item { string name = 1; Kind kind = 2; }
enum Kind { KIND_NONE = 0; KIND_SCREW = 1; }
)"}};

TEST(ProtoText, IsTheServiceAndWhatItUsesInTheOrderOfUse) {
  EXPECT_EQ(text_of(kInventory, "acme.v1.Inventory"), R"(// acme/v1/inventory.proto
syntax = "proto3";

package acme.v1;

// Keeps the stock.
// In all houses.
service Inventory {
  // Lists a house.
  rpc List(.acme.v1.ListRequest) returns (stream .acme.v1.Item);
  rpc Count(.acme.v1.House) returns (.acme.v1.Tally) {
    option deprecated = true;
  }
}

// Asks for items.
message ListRequest {
  // Which house.
  .acme.v1.House house = 1;
  string name_prefix = 2;
}

message Item {
  string name = 1;
  .acme.v1.Kind kind = 2;
}

message House {
  string name = 1;
}

message Tally {
  uint64 items = 1;
}

enum Kind {
  KIND_NONE = 0;
  KIND_SCREW = 1;
}
)");
}

TEST(ProtoText, OfOneMethodIsItAndWhatItUses) {
  EXPECT_EQ(text_of(kInventory, "acme.v1.Inventory/Count"), R"(// acme/v1/inventory.proto
syntax = "proto3";

package acme.v1;

service Inventory {
  rpc Count(.acme.v1.House) returns (.acme.v1.Tally) {
    option deprecated = true;
  }
}

message House {
  string name = 1;
}

message Tally {
  uint64 items = 1;
}
)");
}

TEST(ProtoText, EveryServiceOfHostcallHasOne) {
  const auto& schema = Schema::built_in();
  ASSERT_FALSE(schema.services().empty());
  for (const auto& name : schema.services()) {
    const auto text = text_of(schema, name);
    SCOPED_TRACE(text);
    pb::DescriptorPool pool;
    test::build(files_of(text), pool);
    EXPECT_NE(pool.FindServiceByName(name), nullptr);
    EXPECT_THAT(text, Not(HasSubstr("json_name")));
  }
}

TEST(ProtoText, HasEveryKindOfFieldOfProto3) {
  expect_round_trip({{"a.proto", R"(syntax = "proto3";
package acme;
service S { rpc M(All) returns (All); }
message All {
  message Nested { enum Deep { DEEP_NONE = 0; } message Deeper { Deep deep = 1; All back = 2; } Deeper deeper = 1; }
  Nested nested = 1;
  map<string, Nested.Deeper> by_name = 2;
  map<int32, Kind> kinds = 3;
  oneof choice { bytes raw = 4; Other other = 5; }
  optional string maybe = 6;
  repeated sfixed64 loose = 7 [packed = false];
  string named = 8 [json_name = "other-name"];
  string x__y_Z = 9;
  reserved 20, 30 to 40;
  reserved "gone";
}
message Other { Other self = 1; }
enum Kind { option allow_alias = true; KIND_NONE = 0; KIND_NIL = 0; KIND_LESS = -1 [deprecated = true]; }
)"}},
                    "acme.S", {"acme.All", "acme.All.Nested", "acme.Other"}, {"acme.Kind"});
}

TEST(ProtoText, HasWhatOnlyProto2Has) {
  expect_round_trip({{"a.proto", R"(syntax = "proto2";
package acme;
service S { rpc M(Old) returns (Old); }
message Old {
  required string text = 1 [default = "a\"\n\x1b\\b"];
  optional Kind kind = 2 [default = TWO];
  repeated group Result = 3 { optional Used in_group = 1; }
  oneof choice { group Picked = 4 { optional double much = 1 [default = -inf]; } int32 n = 5; }
  extensions 100 to max;
  extend Old { optional ByExtension more = 100; }
}
message Used { optional int64 n = 1; }
message ByExtension { optional bytes b = 1; }
enum Kind { ONE = 1; TWO = 2; }
)"}},
                    "acme.S", {"acme.Old", "acme.Used", "acme.ByExtension"}, {"acme.Kind"});
}

const ProtoFiles kClashing = {
    {"one.proto", R"(syntax = "proto2"; package one; message Thing { optional int32 n = 1; })"},
    {"two.proto", R"(syntax = "proto3"; package acme.one; message Thing { string s = 1; })"},
    {"bare.proto", R"(syntax = "proto3"; message Thing { bool b = 1; })"},
    {"all.proto", R"(syntax = "proto3"; import public "two.proto";)"},
    {"s.proto", R"(syntax = "proto3";
package acme;
import "one.proto";
import "all.proto";
import "bare.proto";
service S { rpc M(.one.Thing) returns (Thing); }
message Thing { one.Thing near = 1; .Thing bare = 2; }
)"}};

TEST(ProtoText, EachFileIsUnderItsNameAndNamesDoNotClash) {
  expect_round_trip(kClashing, "acme.S", {"one.Thing", "acme.one.Thing", "acme.Thing", "Thing"});
  const auto text = text_of(kClashing, "acme.S");
  EXPECT_EQ(names_of(files_of(text)), (std::vector<std::string>{"s.proto", "one.proto", "two.proto", "bare.proto"}));
  EXPECT_THAT(text, HasSubstr("import \"bare.proto\";\nimport \"one.proto\";\nimport \"two.proto\";\n"))
      << "what only passes imports on is left out";
}

TEST(ProtoText, OptionsOfOnesOwnMakingAreDefined) {
  const ProtoFiles files = {
      {"unit.proto", R"(syntax = "proto3"; package unit; import "google/protobuf/descriptor.proto";
message Unit { string name = 1; }
extend google.protobuf.FieldOptions { Unit unit = 50001; })"},
      {"s.proto", R"(syntax = "proto3"; package acme; import "unit.proto"; import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { string right = 50001; }
service S { rpc M(Weight) returns (Weight) { option (right) = "weigh"; } }
message Weight { int32 n = 1 [(unit.unit) = { name: "kg\x1b" }]; })"}};
  const auto text = text_of(files, "acme.S");
  EXPECT_THAT(text, HasSubstr("option (.acme.right) = \"weigh\";"));
  EXPECT_THAT(text, HasSubstr("(.unit.unit) = {"));
  EXPECT_EQ(names_of(files_of(text)), (std::vector<std::string>{"s.proto", "unit.proto"}));
  pb::DescriptorPool pool;
  test::build(files_of(text), pool);
  EXPECT_NE(pool.FindServiceByName("acme.S"), nullptr);
}

TEST(ProtoText, HasNothingThatDrivesATerminal) {
  const auto text = text_of({{"\x1b[2J.proto",
                              "syntax = \"proto3\";\n// A\ttab, \x1b[2J, \u202E and \\ \r\xff.\n"
                              "service S { rpc M(X) returns (X); } message X {}"}},
                            "S");
  EXPECT_THAT(text, HasSubstr("// A\ttab, \\x1b[2J, \\xe2\\x80\\xae and \\ \\x0d\\xff.\n"));
  EXPECT_TRUE(text.starts_with("// \\x1b[2J.proto\n")) << text;
  auto rest = text;
  std::erase_if(rest, [](char c) { return c == '\n' || c == '\t'; });
  EXPECT_TRUE(is_plain(rest)) << text;
}

// A message for each of many, each using the next: bounded by the set, not by the stack.
TEST(ProtoText, AChainOfMessagesIsAsLongAsItLikes) {
  std::string text = "syntax = \"proto3\"; service S { rpc M(M0) returns (M0); }\n";
  for (int i = 0; i < 5000; ++i)
    text += "message M" + std::to_string(i) + " { M" + std::to_string((i + 1) % 5000) + " m = 1; }\n";
  EXPECT_THAT(text_of({{"a.proto", text}}, "S"), HasSubstr("message M4999 {"));
}

}  // namespace
}  // namespace hostcall::cli
