// JSON of messages that are known by their descriptors only.
#include "client/cli/schema.h"

#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hostcall/v1/session.pb.h"
#include "proto/base/escape.h"
#include "tests/support/refusal.h"
#include "tests/unit/client/cli/proto_files.h"

namespace hostcall::cli {
namespace {

constexpr char kWhoAmI[] = "hostcall.v1.WhoAmIResponse";

TEST(Schema, FindsMethodsByTheirFullName) {
  const auto* method = Schema::built_in().find_method("hostcall.v1.Diagnostics/Source");
  ASSERT_NE(method, nullptr);
  EXPECT_EQ(method->input_type()->full_name(), "hostcall.v1.SourceRequest");
  EXPECT_FALSE(method->client_streaming());
  EXPECT_TRUE(method->server_streaming());
  for (const auto* name : {"", "/", "hostcall.v1.Host", "hostcall.v1.Host/", "hostcall.v1.Host/Nothing", "Host/Info"})
    EXPECT_EQ(Schema::built_in().find_method(name), nullptr) << name;
}

TEST(Schema, NamesWhatThereIsInstead) {
  EXPECT_EQ(Schema::built_in().near("hostcall.v1.Host/Inof"),
            (std::vector<std::string>{"hostcall.v1.Host/Info", "hostcall.v1.Host/Metrics"}));
  const auto services = Schema::built_in().near("nothing.Like/This");
  EXPECT_NE(std::ranges::find(services, "hostcall.v1.Session"), services.end());
}

TEST(Schema, EveryFieldIsThereUnderItsJsonName) {
  v1::WhoAmIResponse message;
  message.set_vm_name("web1");
  message.set_session_id(1ULL << 60);
  const auto text = Schema::built_in().to_json(kWhoAmI, message.SerializeAsString(), JsonStyle::kLine);
  ASSERT_TRUE(text);
  EXPECT_EQ(text->find('\n'), std::string::npos);
  const auto json = nlohmann::json::parse(*text);
  EXPECT_EQ(json, nlohmann::json({{"vmName", "web1"},
                                  {"uuid", ""},
                                  {"tags", nlohmann::json::array()},
                                  {"evidence", ""},
                                  {"cid", 0},
                                  {"port", 0},
                                  {"unixPath", ""},
                                  {"registration", "0"},
                                  {"bootId", ""},
                                  {"sessionId", "1152921504606846976"}}));
}

TEST(Schema, PrettyIsTheSameInSeveralLines) {
  const auto line = Schema::built_in().to_json(kWhoAmI, "", JsonStyle::kLine);
  const auto pretty = Schema::built_in().to_json(kWhoAmI, "", JsonStyle::kPretty);
  ASSERT_TRUE(line && pretty);
  EXPECT_NE(pretty->find('\n'), std::string::npos);
  EXPECT_FALSE(pretty->ends_with('\n'));
  EXPECT_EQ(nlohmann::json::parse(*line), nlohmann::json::parse(*pretty));
}

TEST(Schema, JsonBecomesTheMessage) {
  const auto bytes = Schema::built_in().from_json(
      kWhoAmI, R"({"vmName": "web1", "tags": ["a", "b"], "session_id": 7, "registration": "9"})");
  ASSERT_TRUE(bytes.ok()) << test::refusal_of(bytes);
  v1::WhoAmIResponse message;
  ASSERT_TRUE(message.ParseFromString(bytes.value()));
  EXPECT_EQ(message.vm_name(), "web1");
  EXPECT_EQ(message.tags_size(), 2);
  EXPECT_EQ(message.session_id(), 7U);
  EXPECT_EQ(message.registration(), 9U);
}

TEST(Schema, JsonThatIsNotUtf8IsRefusedAsSuch) {
  EXPECT_EQ(test::refusal_of(Schema::built_in().from_json(kWhoAmI, "{\"vmName\": \"\xff\"}")),
            "it is not UTF-8: byte 13 is \\xff");
  EXPECT_EQ(test::refusal_of(Schema::built_in().from_json(kWhoAmI, "{\xc0\xaf}")), "it is not UTF-8: byte 2 is \\xc0");
  EXPECT_NE(test::refusal_of(Schema::built_in().from_json(kWhoAmI, R"({"vmName": "\ud800"})")), "");
}

TEST(Schema, BytesAreBase64) {
  const auto bytes = Schema::built_in().from_json("hostcall.v1.PingRequest", R"({"payload": "aGk="})");
  ASSERT_TRUE(bytes.ok()) << test::refusal_of(bytes);
  v1::PingRequest message;
  ASSERT_TRUE(message.ParseFromString(bytes.value()));
  EXPECT_EQ(message.payload(), "hi");
}

TEST(Schema, SaysWhatIsWrongWithTheJson) {
  for (const auto* json : {"", "{", "[1,2]", R"({"vmNane": "web1"})", R"({"cid": "many"})", R"({"cid": -1})"}) {
    const auto bytes = Schema::built_in().from_json(kWhoAmI, json);
    ASSERT_FALSE(bytes.ok()) << json;
    EXPECT_NE(bytes.error().message(), "") << json;
    EXPECT_TRUE(is_plain(bytes.error().message())) << json << " is complained of in one line";
  }
}

TEST(Schema, SaysWhereTheJsonIsWrong) {
  const auto complaint = [](const char* json) {
    return Schema::built_in().from_json("hostcall.v1.TxnRequest", json).error().message();
  };
  for (const auto* blank : {"", " ", "\n", "\r\n\t "}) EXPECT_EQ(complaint(blank), "it is empty");
  EXPECT_TRUE(complaint("{\"then\" 7}").ends_with(", at: 7}")) << complaint("{\"then\" 7}");
  EXPECT_TRUE(is_plain(complaint("{\"then\" \"\xff\xe2\x80\xae\x1b\"}")));
  EXPECT_TRUE(is_plain(complaint("{\"\xff\": 7}")));
}

TEST(Schema, SaysThatBytesAreBase64) {
  const auto refused = Schema::built_in().from_json("hostcall.v1.PingRequest", R"({"payload": "!"})");
  EXPECT_TRUE(test::refusal_of(refused).ends_with("for type TYPE_BYTES; bytes are written in base64"))
      << test::refusal_of(refused);
}

TEST(Schema, AMemberIsGivenOnce) {
  const std::pair<const char*, const char*> repeated[] = {
      {R"({"then": [{"put": {"key": "/a", "value": "", "key": "/b"}}]})", "\"key\" is twice in one object"},
      {R"({"compare": [], "then": [], "compare": []})", "\"compare\" is twice in one object"},
      {R"({then: [], 'then': []})", "\"then\" is twice in one object"},
      {R"({"then": [{"get": {"key": "\\\"{"}}], "then":[]})", "\"then\" is twice in one object"}};
  for (const auto& [json, text] : repeated)
    EXPECT_EQ(test::refusal_of(Schema::built_in().from_json("hostcall.v1.TxnRequest", json)), text) << json;
  for (const auto* json :
       {"{}", R"({"then": [{"get": {"key": "/a"}}, {"get": {"key": "/a"}}], "else": [{"get": {"key": "key"}}]})",
        R"({"then": [{"get": {"key": ", \"key\": "}}]})", R"({"compare": [{"key": "compare", "version": "1"}]})"})
    EXPECT_TRUE(Schema::built_in().from_json("hostcall.v1.TxnRequest", json).ok()) << json;
}

TEST(Schema, JsonHasNothingThatDrivesATerminal) {
  v1::WhoAmIResponse message;
  message.set_vm_name("a\u061C\u2066\u202E\u200B\uFEFF\u009B\U000E0041\x1b\x7f\\");
  for (const auto style : {JsonStyle::kLine, JsonStyle::kPretty}) {
    const auto json = Schema::built_in().to_json(kWhoAmI, message.SerializeAsString(), style).value_or("");
    for (std::string_view line = json; !line.empty();
         line.remove_prefix(std::min(line.find('\n'), line.size() - 1) + 1))
      EXPECT_TRUE(is_plain(line.substr(0, line.find('\n')))) << json;
    v1::WhoAmIResponse back;
    ASSERT_TRUE(back.ParseFromString(Schema::built_in().from_json(kWhoAmI, json).value()));
    EXPECT_EQ(back.vm_name(), message.vm_name());
  }
}

TEST(Schema, AFieldThatComesTwiceIsOneInJson) {
  const auto twice = Schema::built_in().to_json("hostcall.v1.PingRequest", "\x0a\x01X\x0a\x01Y", JsonStyle::kLine);
  EXPECT_EQ(twice, R"({"payload":"WQ=="})");
  // version and value, of one oneof
  const std::string_view both("\x18\x31\x32\x01v", 5);
  EXPECT_EQ(Schema::built_in().to_json("hostcall.v1.Compare", both, JsonStyle::kLine),
            R"({"key":"","comparison":"COMPARISON_EQUAL","value":"dg=="})");
}

TEST(Schema, RefusesBytesThatAreNoSuchMessage) {
  EXPECT_FALSE(Schema::built_in().to_json(kWhoAmI, "\x0a\xff", JsonStyle::kLine));
}

TEST(Schema, RefusesWhatIsNoDescriptorSet) { EXPECT_EQ(Schema::parse("\xff\xff"), nullptr); }

TEST(Schema, FilesMayComeInAnyOrder) {
  google::protobuf::FileDescriptorSet set;
  auto& user = *set.add_file();
  user.set_name("user.proto");
  user.set_syntax("proto3");
  user.add_dependency("used.proto");
  auto& service = *user.add_service();
  service.set_name("S");
  auto& method = *service.add_method();
  method.set_name("M");
  method.set_input_type(".Used");
  method.set_output_type(".Used");
  auto& used = *set.add_file();
  used.set_name("used.proto");
  used.set_syntax("proto3");
  used.add_message_type()->set_name("Used");
  const auto schema = Schema::parse(set.SerializeAsString());
  ASSERT_NE(schema, nullptr);
  EXPECT_NE(schema->find_method("S/M"), nullptr);
}

// ---------------------------------------------------------------- sets of others

const test::ProtoFiles kForeign = {{"old.proto", R"(syntax = "proto2"; package acme;
message Old {
  optional int32 n = 1 [default = 7];
  repeated group Result = 2 { required string url = 1; }
  extensions 100 to 200;
}
extend Old { optional string more = 100; })"},
                                   {"s.proto", R"(syntax = "proto3"; package acme.v1; import "old.proto";
service S { rpc M(All) returns (acme.Old); rpc N(stream All) returns (stream All); }
message All {
  message Nested { int32 n = 1; }
  enum Kind { NONE = 0; MUCH = 7; }
  Nested nested = 1;
  map<string, Nested> by_name = 2;
  map<int64, Kind> kinds = 3;
  oneof choice { bytes raw = 4; All self = 5; }
  string named = 6 [json_name = "other"];
  acme.Old old = 7;
  optional bool maybe = 8;
})"},
                                   {"t.proto", R"(syntax = "proto3"; package acme.v2;
message All { string text = 1; } service S {} service T { rpc M(All) returns (All); })"}};

std::unique_ptr<Schema> foreign() { return Schema::parse(test::descriptor_set_of(kForeign)); }

// A document becomes the message's bytes, and these become the document that has what was not given, too.
void expect_json(const Schema& schema, const char* type, const std::string& json, const std::string& whole) {
  const auto bytes = schema.from_json(type, json);
  ASSERT_TRUE(bytes.ok()) << json << ": " << test::refusal_of(bytes);
  const auto back = schema.to_json(type, bytes.value(), JsonStyle::kLine);
  ASSERT_TRUE(back) << json;
  EXPECT_EQ(nlohmann::json::parse(*back), nlohmann::json::parse(whole));
}

TEST(Schema, OfOthersHasItsServicesAndMethods) {
  const auto schema = foreign();
  EXPECT_EQ(schema->services(), (std::vector<std::string>{"acme.v1.S", "acme.v2.S", "acme.v2.T"}));
  EXPECT_EQ(schema->methods("acme.v1.S"), (std::vector<std::string>{"acme.v1.S/M", "acme.v1.S/N"}));
  EXPECT_TRUE(schema->methods("acme.v2.S").empty());
  EXPECT_TRUE(schema->methods("acme.v1.All").empty());
  EXPECT_EQ(schema->near("acme.v2.T/Nothing"), (std::vector<std::string>{"acme.v2.T/M"}));
  EXPECT_EQ(schema->near("acme.v3.S/M"), schema->services());
  EXPECT_EQ(schema->find_method("acme.v1.S/M")->output_type()->full_name(), "acme.Old");
  for (const auto* name : {"", "S", "acme.v1", "acme.v1.All", "acme.v1.S/M", ".acme.v1.S"})
    EXPECT_EQ(schema->find_service(name), nullptr) << name;
}

TEST(Schema, OfOthersMapsEveryKindOfField) {
  const auto schema = foreign();
  expect_json(*schema, "acme.v1.All", "{}", R"({"byName": {}, "kinds": {}, "other": ""})");
  expect_json(*schema, "acme.v1.All",
              R"({"by_name": {"a": {"n": 1}, "": {}}, "kinds": {"-5": "MUCH", "6": 0}, "self": {"raw": "aGk="}})",
              R"({"byName": {"a": {"n": 1}, "": {"n": 0}}, "kinds": {"-5": "MUCH", "6": "NONE"}, "other": "",
                  "self": {"byName": {}, "kinds": {}, "other": "", "raw": "aGk="}})");
  expect_json(*schema, "acme.v1.All", R"({"other": "x", "maybe": false, "nested": {"n": -1}, "old": {"n": 1}})",
              R"({"nested": {"n": -1}, "byName": {}, "kinds": {}, "other": "x", "maybe": false,
                  "old": {"n": 1, "result": []}})");
  expect_json(*schema, "acme.v2.All", R"({"text": "t"})", R"({"text": "t"})");
}

TEST(Schema, OfOthersRefusesWhatDoesNotFit) {
  const auto schema = foreign();
  for (const auto* json : {R"({"raw": "aGk=", "self": {}})", R"({"kinds": {"x": 0}})", R"({"kinds": {"1": "NEVER"}})",
                           R"({"nested": []})", R"({"text": "t"})"})
    EXPECT_NE(test::refusal_of(schema->from_json("acme.v1.All", json)), "") << json;
  EXPECT_FALSE(schema->from_json("acme.v1.None", "{}").ok());
  EXPECT_FALSE(schema->to_json("acme.Old", "\x13\x14", JsonStyle::kLine)) << "a result without its url";
}

TEST(Schema, AServiceWithoutItsImportsIsBroken) {
  google::protobuf::FileDescriptorSet set;
  ASSERT_TRUE(set.ParseFromString(test::descriptor_set_of(kForeign)));
  set.mutable_file()->DeleteSubrange(0, 1);
  const auto schema = Schema::parse(set.SerializeAsString());
  EXPECT_EQ(schema->find_service("acme.v1.S"), nullptr);
  EXPECT_TRUE(schema->is_broken("acme.v1.S"));
  EXPECT_EQ(schema->services(), (std::vector<std::string>{"acme.v2.S", "acme.v2.T"}));
  for (const auto* name : {"acme.v2.S", "acme.v1.All", "acme.v1", "acme.v1.None", ""})
    EXPECT_FALSE(schema->is_broken(name)) << name;
}

// The set itself is readable, and so is what has nothing to do with the fault.
TEST(Schema, DescriptorsThatContradictThemselvesAreBroken) {
  google::protobuf::FileDescriptorSet set;
  ASSERT_TRUE(set.ParseFromString(test::descriptor_set_of(kForeign)));
  auto& file = *set.mutable_file(1);
  file.mutable_message_type(0)->mutable_field(0)->set_type_name(".acme.v1.Nothing");
  EXPECT_TRUE(Schema::parse(set.SerializeAsString())->is_broken("acme.v1.S"));
  file.add_dependency(file.name());
  EXPECT_TRUE(Schema::parse(set.SerializeAsString())->is_broken("acme.v1.S"));
  EXPECT_NE(Schema::parse(set.SerializeAsString())->find_service("acme.v2.T"), nullptr);
}

// Each imports the next, which takes the parser's stack.
TEST(Schema, TheNumberOfFilesIsBounded) {
  google::protobuf::FileDescriptorSet set;
  for (int i = 0; i < Schema::kMaxFiles; ++i) {
    auto& file = *set.add_file();
    file.set_name(std::to_string(i));
    if (i + 1 < Schema::kMaxFiles) file.add_dependency(std::to_string(i + 1));
  }
  set.mutable_file(0)->add_service()->set_name("S");
  const auto schema = Schema::parse(set.SerializeAsString());
  ASSERT_NE(schema, nullptr);
  EXPECT_NE(schema->find_service("S"), nullptr);
  set.add_file()->set_name("one too many");
  EXPECT_EQ(Schema::parse(set.SerializeAsString()), nullptr);
}

}  // namespace
}  // namespace hostcall::cli
