// JSON of messages that are known by their descriptors only.
#include "client/cli/schema.h"

#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "hostcall/v1/session.pb.h"
#include "proto/base/escape.h"
#include "tests/support/refusal.h"

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

}  // namespace
}  // namespace hostcall::cli
